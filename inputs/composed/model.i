# Thermo-viscoplasticity in three stages: the strain is the symmetric displacement gradient less the thermal
# eigenstrain; a backward Euler solve updates the plastic strain (Perzyna flow, Voce hardening); the stress
# and its invariants follow. A step of rest, which the solve accepts at its guess, comes first; then the points
# are loaded and heated or cooled. Units: MPa, s, K.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 50.0, 6))'
  []
  # One step of rest, load, partial unload.
  [load]
    type = Python
    expr = 'torch.tensor([0.0, 0.0, 0.4, 0.8, 1.0, 0.7])'
  []
  [temperatures]
    type = Python
    expr = 'Scalar(300.0 + load[:, None] * torch.tensor([40.0, 10.0, -20.0]))'
  []
  # Tension, simple shear and a rotation with some stretch.
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[[4.0, 0.0, 0.0], [0.0, -1.5, 0.0], [0.0, 0.0, -1.5]],
                                 [[0.0, 6.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
                                 [[0.2, -2.0, 0.0], [2.0, 0.1, 0.5], [0.0, -0.5, -0.3]]])'
  []
  [displacement_gradients]
    type = Python
    expr = 'R2(load[:, None, None, None] * amplitudes)'
  []
[]

[Models]
  # --- before the solve
  [strain]
    type = R2ToSR2
    input = 'displacement_gradient'
    output = 'strain'
  []
  [eigenstrain]
    type = ThermalEigenstrain
    temperature = 'temperature'
    eigenstrain = 'eigenstrain'
    reference_temperature = 300
    CTE = 1.2e-5
  []
  [mechanical_strain]
    type = SR2LinearCombination
    from = 'strain eigenstrain'
    weights = '1 -1'
    to = 'mechanical_strain'
  []
  # --- within the solve; the first two are evaluated again after it
  [elastic_strain]
    type = SR2LinearCombination
    from = 'mechanical_strain plastic_strain'
    weights = '1 -1'
    to = 'elastic_strain'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'elastic_strain'
    stress = 'stress'
    coefficients = '1.8e5 0.31'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [mandel_stress]
    type = IsotropicMandelStress
    cauchy_stress = 'stress'
    mandel_stress = 'mandel_stress'
  []
  [effective_stress]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'mandel_stress'
    invariant = 'effective_stress'
  []
  [isotropic_hardening]
    type = VoceIsotropicHardening
    equivalent_plastic_strain = 'equivalent_plastic_strain'
    isotropic_hardening = 'isotropic_hardening'
    saturated_hardening = 80
    saturation_rate = 40
  []
  [yield_function]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'yield_function'
    yield_stress = 120
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    yield_function = 'yield_function'
    flow_rate = 'flow_rate'
    reference_stress = 300
    exponent = 3
  []
  [flow_direction]
    type = AssociativeJ2FlowDirection
    mandel_stress = 'mandel_stress'
    flow_direction = 'flow_direction'
  []
  [plastic_flow]
    type = AssociativePlasticFlow
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    plastic_strain_rate = 'plastic_strain_rate'
  []
  [integrate_plastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'plastic_strain'
  []
  [integrate_equivalent_plastic_strain]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
    rate = 'flow_rate'
  []
  [residual]
    type = ComposedModel
    models = 'elastic_strain elasticity mandel_stress effective_stress isotropic_hardening yield_function
              flow_rate flow_direction plastic_flow
              integrate_plastic_strain integrate_equivalent_plastic_strain'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain'
    unknowns_Scalar = 'equivalent_plastic_strain'
  []
  [return_map]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  # --- after the solve
  [von_mises_stress]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'stress'
    invariant = 'von_mises_stress'
  []
  [stress_trace]
    type = SR2Invariant
    invariant_type = 'I1'
    tensor = 'stress'
    invariant = 'stress_trace'
  []
  [model]
    type = ComposedModel
    models = 'strain eigenstrain mechanical_strain return_map
              elastic_strain elasticity von_mises_stress stress_trace'
    additional_outputs = 'eigenstrain plastic_strain stress'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'plastic_strain equivalent_plastic_strain'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    abs_tol = 1e-12
    rel_tol = 1e-10
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
    prescribed_R2_names = 'displacement_gradient'
    prescribed_R2_values = 'displacement_gradients'
    prescribed_Scalar_names = 'temperature'
    prescribed_Scalar_values = 'temperatures'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
