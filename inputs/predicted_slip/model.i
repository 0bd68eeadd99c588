# Crystal whose slip rates are guessed before Newton starts: with the coupling of the twelve systems through elasticity,
# the trial resolved shears determine the rates by a coordinate-wise descent, swept a few times; the elastic strain
# starts from the rates. The orientation is fixed, the strength constant in the guess. Units: MPa, s.

[Settings]
  [example_batch_shape]
    slip_guess = '(2; 12)'
  []
[]

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 0.5, 2.0, 10.0, 10.5]))'
  []
  [strains]
    type = Python
    expr = 'SR2(torch.tensor([0.0, 0.3, 1.0, 2.0, 1.8])[:, None, None]
                * 1e-3 * torch.tensor([[2.0, -1.0, -1.0, 0.0, 0.0, 0.0], [0.5, 0.5, -1.0, 0.0, 1.5, 0.6]]))'
  []
  [orientations]
    type = Python
    expr = 'MRP(torch.tensor([[0.05, 0.1, -0.1], [-0.2, 0.1, 0.3]]).repeat(5, 1, 1))'
  []
  # neml2-compile evaluates this in single precision unless told otherwise.
  [stiffness]
    type = Python
    expr = '''
      shear, bulk = 4.5e4, 1.2e5
      volumetric = torch.zeros(6, 6, dtype=torch.float64)
      volumetric[:3, :3] = 1.0
      result = SSR4(2 * shear * (torch.eye(6, dtype=torch.float64) - volumetric / 3) + bulk * volumetric)
    '''
  []
  [slip_directions]
    type = Python
    expr = 'MillerIndex(torch.tensor([1.0, 1.0, 0.0]))'
  []
  [slip_planes]
    type = Python
    expr = 'MillerIndex(torch.tensor([1.0, 1.0, 1.0]))'
  []
[]

[Data]
  [crystal_geometry]
    type = CubicCrystal
    lattice_parameter = 1.0
    slip_directions = 'slip_directions'
    slip_planes = 'slip_planes'
  []
[]

[Models]
  [orientation_matrix]
    type = RotationMatrix
    from = 'orientation'
    to = 'orientation_matrix'
  []
  # --- residual, in the elastic strain and the hardening
  [elasticity]
    type = GeneralElasticity
    strain = 'elastic_strain'
    orientation = 'orientation'
    stress = 'stress'
    elastic_stiffness_tensor = 'stiffness'
  []
  [resolved_shear]
    type = ResolvedShear
    stress = 'stress'
    orientation_matrix = 'orientation_matrix'
    resolved_shears = 'resolved_shears'
  []
  [slip_strength]
    type = SingleSlipStrengthMap
    slip_hardening = 'slip_hardening'
    slip_strengths = 'slip_strengths'
    constant_strength = 50
  []
  [slip_rule]
    type = PowerLawSlipRule
    resolved_shears = 'resolved_shears'
    slip_strengths = 'slip_strengths'
    slip_rates = 'slip_rates'
    gamma0 = 1e-3
    n = 8
  []
  [sum_slip_rates]
    type = SumSlipRates
    slip_rates = 'slip_rates'
    sum_slip_rates = 'sum_slip_rates'
  []
  [slip_hardening]
    type = VoceSingleSlipHardeningRule
    slip_hardening = 'slip_hardening'
    sum_slip_rates = 'sum_slip_rates'
    slip_hardening_rate = 'slip_hardening_rate'
    initial_slope = 400
    saturated_hardening = 30
  []
  [plastic_rate]
    type = PlasticDeformationRate
    orientation_matrix = 'orientation_matrix'
    slip_rates = 'slip_rates'
    plastic_deformation_rate = 'plastic_strain_rate'
  []
  [strain_rate]
    type = SR2VariableRate
    variable = 'strain'
  []
  [elastic_strain_rate]
    type = SR2LinearCombination
    from = 'strain_rate plastic_strain_rate'
    weights = '1 -1'
    to = 'elastic_strain_rate'
  []
  [integrate_elastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'elastic_strain'
  []
  [integrate_slip_hardening]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'slip_hardening'
  []
  [residual]
    type = ComposedModel
    models = 'orientation_matrix elasticity resolved_shear slip_strength slip_rule sum_slip_rates slip_hardening
              plastic_rate strain_rate elastic_strain_rate integrate_elastic_strain integrate_slip_hardening'
  []
  # --- predictor
  [trial_strain]
    type = SR2LinearCombination
    from = 'elastic_strain~1 strain strain~1'
    weights = '1 1 -1'
    to = 'trial_strain'
  []
  [trial_elasticity]
    type = GeneralElasticity
    strain = 'trial_strain'
    orientation = 'orientation'
    stress = 'trial_stress'
    elastic_stiffness_tensor = 'stiffness'
  []
  [trial_shear]
    type = ResolvedShear
    stress = 'trial_stress'
    orientation_matrix = 'orientation_matrix'
    resolved_shears = 'trial_shears'
  []
  [old_strength]
    type = SingleSlipStrengthMap
    slip_hardening = 'slip_hardening~1'
    slip_strengths = 'slip_strengths'
    constant_strength = 50
  []
  [interaction]
    type = SlipSystemElasticInteraction
    orientation = 'orientation'
    coupling = 'coupling'
    elastic_stiffness_tensor = 'stiffness'
  []
  [guess_slip]
    type = CoordinateDescentPredictor
    rate_law = 'slip_rule'
    driving_force_input = 'resolved_shears'
    coupling = 'coupling'
    trial_driving_force = 'trial_shears'
    rate = 'slip_guess'
    sweeps = 6
    bisections = 12
  []
  [guess_plastic_rate]
    type = PlasticDeformationRate
    orientation_matrix = 'orientation_matrix'
    slip_rates = 'slip_guess'
    plastic_deformation_rate = 'plastic_strain_rate'
  []
  [guess_strain_rate]
    type = SR2LinearCombination
    from = 'strain_rate plastic_strain_rate'
    weights = '1 -1'
    to = 'elastic_strain_rate'
  []
  [guess_elastic_strain]
    type = SR2ForwardEulerTimeIntegration
    variable = 'elastic_strain'
  []
  [guess_hardening]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'slip_hardening'
  []
  [predictor]
    type = ComposedModel
    models = 'orientation_matrix trial_strain trial_elasticity trial_shear old_strength interaction guess_slip
              guess_plastic_rate strain_rate guess_strain_rate guess_elastic_strain guess_hardening'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model]
    type = ComposedModel
    models = 'update elasticity'
    additional_outputs = 'elastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'elastic_strain slip_hardening'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    max_linesearch_iterations = 6
    abs_tol = 1e-12
    rel_tol = 1e-11
    max_its = 50
  []
  [lu]
    type = DenseLU
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'strain'
    prescribed_SR2_values = 'strains'
    prescribed_MRP_names = 'orientation'
    prescribed_MRP_values = 'orientations'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
