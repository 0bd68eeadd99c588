# Mixed-mode cohesive interface with a bilinear law: the separation that starts damage depends on the mode mixity
# (quadratic stress criterion), the one that ends it on the toughnesses of both modes (once by Benzeggagh and Kenane,
# once by a power law), and damage never heals. Normal jumps are split into opening and closing, which is resisted
# elastically. Each law keeps a damage history of its own; there is nothing to solve. Units: N, mm.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 7.0, 8))'
  []
  # Open, unload partly, open further to failure, close.
  [path]
    type = Python
    expr = 'torch.tensor([0.0, 0.2, 0.45, 0.3, 0.7, 1.0, 0.5, -0.1])'
  []
  # Opening, sliding, both, and sliding under closure.
  [amplitudes]
    type = Python
    expr = '2e-2 * torch.tensor([[1.0, 0.0, 0.0],
                                 [0.0, 0.9, -0.5],
                                 [0.6, 0.5, 0.3],
                                 [-0.05, 0.8, 0.4]])'
  []
  [jumps]
    type = Python
    expr = 'Vec(path[:, None, None] * amplitudes)'
  []
[]

[Models]
  # --- kinematics of the jump
  [components]
    type = VecComponents
    from = 'jump'
    to = 'normal sliding_1 sliding_2'
  []
  [split]
    type = MacaulaySplit
    from = 'normal'
    to_positive = 'opening'
    to_negative = 'closing'
  []
  [sliding]
    type = ScalarPNorm
    from = 'sliding_1 sliding_2'
    to = 'sliding'
    exponent = 2
  []
  [effective_separation]
    type = ScalarPNorm
    from = 'opening sliding_1 sliding_2'
    to = 'effective_separation'
    exponent = 2
  []
  [mixity]
    type = ModeMixity
    normal_separation = 'opening'
    tangential_separation = 'sliding'
    mode_mixity = 'mixity'
  []
  # --- where damage starts and ends
  [onset]
    type = CamanhoDavilaCriticalSeparation
    normal_separation = 'opening'
    mode_mixity = 'mixity'
    critical_separation = 'onset'
    penalty_stiffness = 2e4
    normal_strength = 30
    shear_strength = 45
  []
  [failure_bk]
    type = BenzeggaghKenaneFullSeparation
    normal_separation = 'opening'
    mode_mixity = 'mixity'
    critical_separation = 'onset'
    full_separation = 'failure_bk'
    penalty_stiffness = 2e4
    mode_I_fracture_toughness = 0.2
    mode_II_fracture_toughness = 0.45
    shear_strength = 45
    eta = 1.7
  []
  [failure_power]
    type = PowerLawFullSeparation
    normal_separation = 'opening'
    mode_mixity = 'mixity'
    critical_separation = 'onset'
    full_separation = 'failure_power'
    penalty_stiffness = 2e4
    mode_I_fracture_toughness = 0.2
    mode_II_fracture_toughness = 0.45
    shear_strength = 45
    eta = 1.2
  []
  # --- tractions
  [traction_bk]
    type = BilinearTraction
    effective_separation = 'effective_separation'
    normal_separation = 'opening'
    normal_penetration = 'closing'
    tangential_separation_1 = 'sliding_1'
    tangential_separation_2 = 'sliding_2'
    traction = 'traction_bk'
    damage = 'damage_bk'
    penalty_stiffness = 2e4
    critical_separation = 'onset'
    full_separation = 'failure_bk'
  []
  [traction_power]
    type = BilinearTraction
    effective_separation = 'effective_separation'
    normal_separation = 'opening'
    normal_penetration = 'closing'
    tangential_separation_1 = 'sliding_1'
    tangential_separation_2 = 'sliding_2'
    traction = 'traction_power'
    damage = 'damage_power'
    penalty_stiffness = 2e4
    critical_separation = 'onset'
    full_separation = 'failure_power'
  []
  [model]
    type = ComposedModel
    models = 'components split sliding effective_separation mixity onset failure_bk failure_power
              traction_bk traction_power'
    additional_outputs = 'mixity'
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_Vec_names = 'jump'
    prescribed_Vec_values = 'jumps'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
