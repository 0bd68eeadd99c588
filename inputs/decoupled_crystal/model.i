# Single face-centred cubic crystal, solved in two stages: elastic strain and slip hardening at the orientation of the
# last step (7 unknowns), then the orientation that these give (3 unknowns). Twelve slip systems, power-law slip, Voce
# hardening. Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 5.0, 6))'
  []
  [deformation_rates]
    type = Python
    expr = 'SR2(1e-3 * torch.tensor([[1.0, -0.5, -0.5, 0.0, 0.0, 0.0],
                                     [0.3, 0.3, -0.6, 0.0, 0.7, 0.0],
                                     [0.01, 0.0, -0.01, 0.0, 0.0, 0.02]]).repeat(6, 1, 1))'
  []
  [vorticities]
    type = Python
    expr = 'WR2(1e-3 * torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.0, -0.3], [0.0, 0.0, 0.02]]).repeat(6, 1, 1))'
  []
  [orientations]
    type = Python
    expr = 'MRP(torch.tensor([[0.0, 0.05, 0.1], [0.2, -0.1, 0.15], [-0.05, 0.0, 0.25]]))'
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
    from = 'orientation~1'
    to = 'orientation_matrix'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'elastic_strain'
    stress = 'stress'
    coefficients = '1.2e5 0.31'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  # --- slip
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
    constant_strength = 55
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
    initial_slope = 350
    saturated_hardening = 45
  []
  # --- kinematics
  [plastic_deformation_rate]
    type = PlasticDeformationRate
    orientation_matrix = 'orientation_matrix'
    slip_rates = 'slip_rates'
    plastic_deformation_rate = 'plastic_deformation_rate'
  []
  [plastic_vorticity]
    type = PlasticVorticity
    orientation_matrix = 'orientation_matrix'
    slip_rates = 'slip_rates'
    plastic_vorticity = 'plastic_vorticity'
  []
  [elastic_strain_rate]
    type = ElasticStrainRate
    elastic_strain = 'elastic_strain'
    deformation_rate = 'deformation_rate'
    vorticity = 'vorticity'
    plastic_deformation_rate = 'plastic_deformation_rate'
    elastic_strain_rate = 'elastic_strain_rate'
  []
  [orientation_rate]
    type = OrientationRate
    elastic_strain = 'elastic_strain'
    vorticity = 'vorticity'
    plastic_deformation_rate = 'plastic_deformation_rate'
    plastic_vorticity = 'plastic_vorticity'
    orientation_rate = 'orientation_rate'
  []
  # --- backward Euler, exponential for the rotation
  [integrate_elastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'elastic_strain'
  []
  [integrate_slip_hardening]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'slip_hardening'
  []
  [integrate_orientation]
    type = WR2ImplicitExponentialTimeIntegration
    variable = 'orientation'
  []
  # --- first stage
  [lattice_residual]
    type = ComposedModel
    models = 'orientation_matrix elasticity resolved_shear slip_strength slip_rule sum_slip_rates slip_hardening
              plastic_deformation_rate elastic_strain_rate integrate_elastic_strain integrate_slip_hardening'
  []
  [lattice_predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'elastic_strain'
    unknowns_Scalar = 'slip_hardening'
  []
  [lattice]
    type = ImplicitUpdate
    equation_system = 'lattice_system'
    solver = 'newton'
    predictor = 'lattice_predictor'
  []
  # --- second stage: the slip of the first turns the lattice
  [rotation_residual]
    type = ComposedModel
    models = 'orientation_matrix elasticity resolved_shear slip_strength slip_rule
              plastic_deformation_rate plastic_vorticity orientation_rate integrate_orientation'
  []
  [rotation_predictor]
    type = ConstantExtrapolationPredictor
    unknowns_MRP = 'orientation'
  []
  [rotation]
    type = ImplicitUpdate
    equation_system = 'rotation_system'
    solver = 'newton'
    predictor = 'rotation_predictor'
  []
  [model]
    type = ComposedModel
    models = 'lattice rotation elasticity'
    additional_outputs = 'elastic_strain slip_hardening'
  []
[]

[EquationSystems]
  [lattice_system]
    type = NonlinearSystem
    model = 'lattice_residual'
    unknowns = 'elastic_strain slip_hardening'
  []
  [rotation_system]
    type = NonlinearSystem
    model = 'rotation_residual'
    unknowns = 'orientation'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    abs_tol = 1e-10
    rel_tol = 1e-8
    max_its = 50
    max_linesearch_iterations = 2
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
    prescribed_SR2_names = 'deformation_rate'
    prescribed_SR2_values = 'deformation_rates'
    prescribed_WR2_names = 'vorticity'
    prescribed_WR2_values = 'vorticities'
    ic_MRP_names = 'orientation'
    ic_MRP_values = 'orientations'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
