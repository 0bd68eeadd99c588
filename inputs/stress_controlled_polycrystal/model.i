# Taylor polycrystal of three grains under mixed control: of every component either the common deformation rate or the
# mean stress is prescribed. The grains' elastic strains, hardenings and orientations form a block group of unknowns
# (one block per grain), the free components a dense group that couples them; the linear solver eliminates the grains
# one by one and solves for the six free components last. Units: MPa, s.

[Settings]
  [example_batch_shape]
    elastic_strain = '(2; 3)'
    slip_hardening = '(2; 3)'
    orientation = '(2; 3)'
  []
[]

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 3.0, 4))'
  []
  # One where the deformation rate is prescribed: uniaxial tension, and simple shear with a normal stress.
  [controls]
    type = Python
    expr = 'SR2(torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                              [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]]).repeat(4, 1, 1))'
  []
  [applied_values]
    type = Python
    expr = 'SR2(torch.linspace(0.0, 1.0, 4)[:, None, None] * torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                                                                         [60.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
                + 1e-3 * torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                                       [0.0, 0.0, 0.0, 0.0, 0.0, 0.9]]))'
  []
  [vorticities]
    type = Python
    expr = 'WR2(1e-3 * torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.6]]).repeat(4, 1, 1))'
  []
  [orientations]
    type = Python
    expr = 'MRP(torch.tensor([[0.02, 0.0, -0.03], [0.15, -0.05, 0.2], [-0.25, 0.1, 0.05]]), sub_batch_ndim=1)'
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
  [control]
    type = MixedControlSetup
    control = 'control'
    x_above = 'applied'
    x_below = 'free'
    y = 'deformation_rate'
    z = 'macroscopic_stress'
  []
  [orientation_matrix]
    type = RotationMatrix
    from = 'orientation'
    to = 'orientation_matrix'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'elastic_strain'
    stress = 'stress'
    coefficients = '9.0e4 0.32'
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
    constant_strength = 35
  []
  [slip_rule]
    type = PowerLawSlipRule
    resolved_shears = 'resolved_shears'
    slip_strengths = 'slip_strengths'
    slip_rates = 'slip_rates'
    gamma0 = 1e-3
    n = 4
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
    hardening_slope = 200
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
  # --- backward Euler per grain, balance of the mean stress
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
  [mean_stress]
    type = SR2IntermediateMean
    from = 'stress'
    to = 'mean_stress'
    reduces = 'grain'
  []
  [balance]
    type = SR2LinearCombination
    from = 'mean_stress macroscopic_stress'
    weights = '1 -1'
    to = 'free_residual'
  []
  [residual]
    type = ComposedModel
    models = 'control orientation_matrix elasticity resolved_shear slip_strength slip_rule sum_slip_rates slip_hardening
              plastic_deformation_rate plastic_vorticity elastic_strain_rate orientation_rate
              integrate_elastic_strain integrate_slip_hardening integrate_orientation mean_stress balance'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'elastic_strain free'
    unknowns_Scalar = 'slip_hardening'
    unknowns_MRP = 'orientation'
  []
  [grains]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model]
    type = ComposedModel
    models = 'grains elasticity mean_stress control'
    additional_outputs = 'elastic_strain free'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'elastic_strain slip_hardening orientation; free'
    structure = 'block dense'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'schur'
    max_linesearch_iterations = 6
    abs_tol = 1e-9
    rel_tol = 1e-11
    max_its = 60
  []
  [schur]
    type = SchurComplement
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
    prescribed_SR2_names = 'control applied'
    prescribed_SR2_values = 'controls applied_values'
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
