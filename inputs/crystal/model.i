# Taylor polycrystal of four face-centred cubic grains: every grain sees the same deformation rate and spin.
# Each grain solves for its elastic strain, its slip hardening and its orientation (twelve slip systems, power-law
# slip, Voce hardening); the stress of a point is the mean over its grains. Grains are a sub-batch axis.
# Units: MPa, s.

[Settings]
  [example_batch_shape]
    elastic_strain = '(2; 4)'
    slip_hardening = '(2; 4)'
    orientation = '(2; 4)'
  []
[]

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 4.0, 5))'
  []
  [deformation_rates]
    type = Python
    expr = 'SR2(1e-3 * torch.tensor([[1.0, -0.5, -0.5, 0.0, 0.0, 0.0],
                                     [0.0, 0.0, 0.0, 0.4, 0.0, 0.9]]).repeat(5, 1, 1))'
  []
  [vorticities]
    type = Python
    expr = 'WR2(1e-3 * torch.tensor([[0.0, 0.0, 0.0],
                                     [0.3, 0.0, -0.6]]).repeat(5, 1, 1))'
  []
  [orientations]
    type = Python
    expr = 'MRP(torch.tensor([[0.00, 0.00, 0.00],
                              [0.10, -0.05, 0.20],
                              [-0.25, 0.15, 0.05],
                              [0.05, 0.30, -0.10]]), sub_batch_ndim=1)'
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
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'elastic_strain'
    stress = 'stress'
    coefficients = '1.0e5 0.3'
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
    constant_strength = 40
  []
  [slip_rule]
    type = PowerLawSlipRule
    resolved_shears = 'resolved_shears'
    slip_strengths = 'slip_strengths'
    slip_rates = 'slip_rates'
    gamma0 = 1e-3
    n = 5
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
    initial_slope = 500
    saturated_hardening = 60
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
  [residual]
    type = ComposedModel
    models = 'orientation_matrix elasticity resolved_shear slip_strength slip_rule sum_slip_rates slip_hardening
              plastic_deformation_rate plastic_vorticity elastic_strain_rate orientation_rate
              integrate_elastic_strain integrate_slip_hardening integrate_orientation'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'elastic_strain'
    unknowns_Scalar = 'slip_hardening'
    unknowns_MRP = 'orientation'
  []
  [grains]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [mean_stress]
    type = SR2IntermediateMean
    from = 'stress'
    to = 'mean_stress'
    reduces = 'grain'
  []
  [model]
    type = ComposedModel
    models = 'grains elasticity mean_stress'
    additional_outputs = 'elastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'elastic_strain slip_hardening orientation'
    structure = 'block'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    abs_tol = 1e-10
    rel_tol = 1e-8
    max_its = 50
    max_linesearch_iterations = 5
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
