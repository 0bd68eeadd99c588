# Cohesive interface with the exponential law of Salehani and Irani, whose damage never heals, beside the linear
# elastic interface of the same initial stiffness: both tractions are given, and the largest opening so far is kept.
# Units: N, mm.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 6.0, 7))'
  []
  [path]
    type = Python
    expr = 'torch.tensor([0.0, 0.3, 0.8, 0.4, 1.3, 2.0, -0.2])'
  []
  [amplitudes]
    type = Python
    expr = '1e-2 * torch.tensor([[1.0, 0.0, 0.0], [0.3, 0.8, -0.4], [-0.1, 0.0, 1.1]])'
  []
  [jumps]
    type = Python
    expr = 'Vec(path[:, None, None] * amplitudes)'
  []
[]

[Models]
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
  [exponential_law]
    type = SalehaniIraniTraction
    normal_separation = 'opening'
    normal_penetration = 'closing'
    tangential_separation_1 = 'sliding_1'
    tangential_separation_2 = 'sliding_2'
    traction = 'traction'
    damage = 'damage'
    normal_characteristic_length = 8e-3
    tangential_characteristic_length = 1.1e-2
    normal_strength = 25
    shear_strength = 18
    penalty_stiffness = 5e4
  []
  [elastic_law]
    type = OrthotropicLinearTraction
    normal_separation = 'opening'
    normal_penetration = 'closing'
    tangential_separation_1 = 'sliding_1'
    tangential_separation_2 = 'sliding_2'
    traction = 'elastic_traction'
    normal_stiffness = 8494.6
    tangential_stiffness = 2698.0
    penalty_stiffness = 5e4
  []
  [largest_opening]
    type = IrreversibleScalar
    from = 'opening'
    to = 'largest_opening'
  []
  [model]
    type = ComposedModel
    models = 'components split exponential_law elastic_law largest_opening'
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
