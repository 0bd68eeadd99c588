# Single crystal at finite strain: the deformation gradient splits into an elastic and a plastic part, slip on twelve
# systems drives the plastic one, and the second Piola-Kirchhoff stress is linear in the elastic Green-Lagrange strain.
# Plastic deformation gradient and slip hardening are unknowns; where the elastic trial is far off, the first guess
# takes most of the increment as plastic. Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 4.0, 5))'
  []
  # Stretch, simple shear, and a stretch that is turned.
  [gradients]
    type = Python
    expr = 'torch.tensor([[[4.0, 0.0, 0.0], [0.0, -2.0, 0.0], [0.0, 0.0, -1.9]],
                          [[0.0, 6.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
                          [[1.0, -3.0, 0.0], [3.0, 1.0, 0.5], [0.0, 0.0, -2.0]]])'
  []
  [deformation_gradients]
    type = Python
    expr = 'R2(torch.eye(3) + 1e-2 * torch.linspace(0.0, 1.0, 5)[:, None, None, None] * gradients)'
  []
  [identity]
    type = Python
    expr = 'R2(torch.eye(3).repeat(3, 1, 1))'
  []
  [orientations]
    type = Python
    expr = 'MRP(torch.tensor([[0.0, 0.0, 0.0], [0.2, -0.1, 0.1], [-0.1, 0.3, 0.2]]).repeat(5, 1, 1))'
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
  # --- elasticity in the intermediate configuration
  [elastic_deformation]
    type = R2Multiplication
    A = 'deformation_gradient'
    B = 'plastic_deformation_gradient'
    invert_B = true
    to = 'elastic_deformation'
  []
  [elastic_strain]
    type = GreenLagrangeStrain
    deformation_gradient = 'elastic_deformation'
    strain = 'elastic_strain'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'elastic_strain'
    stress = 'second_stress'
    coefficients = '1.2e5 0.33'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  # --- slip
  [resolved_shear]
    type = ResolvedShear
    stress = 'second_stress'
    orientation_matrix = 'orientation_matrix'
    resolved_shears = 'resolved_shears'
  []
  [slip_strength]
    type = SingleSlipStrengthMap
    slip_hardening = 'slip_hardening'
    slip_strengths = 'slip_strengths'
    constant_strength = 60
  []
  [slip_rule]
    type = PowerLawSlipRule
    resolved_shears = 'resolved_shears'
    slip_strengths = 'slip_strengths'
    slip_rates = 'slip_rates'
    gamma0 = 1e-2
    n = 5
  []
  [sum_slip_rates]
    type = SumSlipRates
    slip_rates = 'slip_rates'
    sum_slip_rates = 'sum_slip_rates'
  []
  [slip_hardening]
    type = LinearSingleSlipHardeningRule
    slip_hardening = 'slip_hardening'
    sum_slip_rates = 'sum_slip_rates'
    slip_hardening_rate = 'slip_hardening_rate'
    hardening_slope = 350
  []
  # --- plastic flow
  [velocity_gradient]
    type = PlasticSpatialVelocityGradient
    orientation_matrix = 'orientation_matrix'
    slip_rates = 'slip_rates'
    plastic_spatial_velocity_gradient = 'plastic_velocity_gradient'
  []
  [plastic_rate]
    type = R2Multiplication
    A = 'plastic_velocity_gradient'
    B = 'plastic_deformation_gradient'
    to = 'plastic_deformation_gradient_rate'
  []
  [integrate_plastic]
    type = R2BackwardEulerTimeIntegration
    variable = 'plastic_deformation_gradient'
  []
  [integrate_hardening]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'slip_hardening'
  []
  [residual]
    type = ComposedModel
    models = 'orientation_matrix elastic_deformation elastic_strain elasticity resolved_shear slip_strength slip_rule
              sum_slip_rates slip_hardening velocity_gradient plastic_rate integrate_plastic integrate_hardening'
  []
  # --- first guess
  [guess_plastic]
    type = CrystalPlasticityDeformationGradientPredictor
    deformation_gradient = 'deformation_gradient'
    plastic_deformation_gradient = 'plastic_deformation_gradient'
    scale = 0.15
    threshold = 2e-3
  []
  [guess_hardening]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'slip_hardening'
  []
  [predictor]
    type = ComposedModel
    models = 'guess_plastic guess_hardening'
  []
  [crystal]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  # --- Kirchhoff stress
  [full_stress]
    type = SR2ToR2
    input = 'second_stress'
    output = 'full_stress'
  []
  [half_pushed]
    type = R2Multiplication
    A = 'elastic_deformation'
    B = 'full_stress'
    to = 'half_pushed'
  []
  [pushed]
    type = R2Multiplication
    A = 'half_pushed'
    B = 'elastic_deformation'
    transpose_B = true
    to = 'pushed'
  []
  [kirchhoff_stress]
    type = R2ToSR2
    input = 'pushed'
    output = 'kirchhoff_stress'
  []
  [spin_part]
    type = R2ToWR2
    input = 'elastic_deformation'
    output = 'elastic_rotation'
  []
  [volume]
    type = R2Determinant
    input = 'plastic_deformation_gradient'
    determinant = 'plastic_volume'
  []
  [model]
    type = ComposedModel
    models = 'crystal elastic_deformation elastic_strain elasticity full_stress half_pushed pushed kirchhoff_stress
              spin_part volume'
    additional_outputs = 'plastic_deformation_gradient'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'plastic_deformation_gradient slip_hardening'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    max_linesearch_iterations = 8
    abs_tol = 1e-11
    rel_tol = 1e-11
    max_its = 60
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
    prescribed_R2_names = 'deformation_gradient'
    prescribed_R2_values = 'deformation_gradients'
    prescribed_MRP_names = 'orientation'
    prescribed_MRP_values = 'orientations'
    ic_R2_names = 'plastic_deformation_gradient'
    ic_R2_values = 'identity'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
