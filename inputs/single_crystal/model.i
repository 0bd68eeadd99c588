# Single face-centred cubic crystal with cubic elasticity and a dislocation density on each of its twelve slip systems
# (a sub-batch axis): densities grow by storage, shrink by recovery and set the strength of their system. Elastic strain
# and orientation form a dense group of unknowns, the densities a block group; the linear solver eliminates the
# densities first. The first guess of the elastic strain follows the deformation rate. Units: MPa, s; densities in
# 1e8 per square millimetre.

[Settings]
  [example_batch_shape]
    dislocation_density = '(2; 12)'
  []
[]

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 5.0, 6))'
  []
  [deformation_rates]
    type = Python
    expr = 'SR2(1e-3 * torch.tensor([[1.0, -0.5, -0.5, 0.0, 0.0, 0.0],
                                     [0.2, 0.4, -0.6, 0.8, 0.0, -0.4],
                                     [0.0, 0.0, 0.0, 0.0, 1.2, 0.0]]).repeat(6, 1, 1))'
  []
  [vorticities]
    type = Python
    expr = 'WR2(1e-3 * torch.tensor([[0.0, 0.0, 0.0], [0.4, -0.2, 0.1], [0.0, 0.9, 0.0]]).repeat(6, 1, 1))'
  []
  [orientations]
    type = Python
    expr = 'MRP(torch.tensor([[0.05, 0.1, -0.1], [-0.2, 0.1, 0.3], [0.0, 0.0, 0.15]]))'
  []
  [densities]
    type = Python
    expr = 'Scalar(torch.linspace(0.8, 1.4, 12).expand(3, 12), sub_batch_ndim=1)'
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
  [stiffness]
    type = CubicElasticityTensor
    coefficients = '1.1e5 0.35 6.0e4'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO SHEAR_MODULUS'
  []
  [elasticity]
    type = GeneralElasticity
    strain = 'elastic_strain'
    orientation = 'orientation'
    stress = 'stress'
    elastic_stiffness_tensor = 'stiffness'
  []
  # --- slip
  [resolved_shear]
    type = ResolvedShear
    stress = 'stress'
    orientation_matrix = 'orientation_matrix'
    resolved_shears = 'resolved_shears'
  []
  [slip_strength]
    type = DislocationObstacleStrengthMap
    dislocation_density = 'dislocation_density'
    slip_strengths = 'slip_strengths'
    constant_strength = 15
    alpha = 0.3
    mu = 4.5e4
    b = 2.5e-3
  []
  [slip_rule]
    type = PowerLawSlipRule
    resolved_shears = 'resolved_shears'
    slip_strengths = 'slip_strengths'
    slip_rates = 'slip_rates'
    gamma0 = 1e-3
    n = 6
  []
  [density_rate]
    type = PerSlipForestDislocationEvolution
    dislocation_density = 'dislocation_density'
    slip_rates = 'slip_rates'
    k1 = 90
    k2 = 30
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
  [integrate_orientation]
    type = WR2ImplicitExponentialTimeIntegration
    variable = 'orientation'
  []
  [integrate_density]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'dislocation_density'
  []
  [residual]
    type = ComposedModel
    models = 'orientation_matrix elasticity resolved_shear slip_strength slip_rule density_rate
              plastic_deformation_rate plastic_vorticity elastic_strain_rate orientation_rate
              integrate_elastic_strain integrate_orientation integrate_density'
  []
  # --- first guess
  [guess_elastic_strain]
    type = CrystalPlasticityStrainPredictor
    deformation_rate = 'deformation_rate'
    elastic_strain = 'elastic_strain'
    scale = 0.5
    threshold = 4e-4
  []
  [guess_rest]
    type = ConstantExtrapolationPredictor
    unknowns_MRP = 'orientation'
    unknowns_Scalar = 'dislocation_density'
  []
  [predictor]
    type = ComposedModel
    models = 'guess_elastic_strain guess_rest'
  []
  [crystal]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model]
    type = ComposedModel
    models = 'crystal elasticity'
    additional_outputs = 'elastic_strain orientation'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'elastic_strain orientation; dislocation_density'
    structure = 'dense block'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'schur'
    max_linesearch_iterations = 8
    abs_tol = 1e-11
    rel_tol = 1e-11
    max_its = 60
  []
  [schur]
    type = SchurComplement
    residual_primary_group = 1
    unknown_primary_group = 1
    primary_solver = 'lu'
    schur_solver = 'lu'
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
    ic_Scalar_names = 'dislocation_density'
    ic_Scalar_values = 'densities'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
