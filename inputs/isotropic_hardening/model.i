# Viscoplasticity with isotropic hardening: Perzyna flow past a von Mises surface that grows with Voce hardening. Stress
# and equivalent plastic strain are solved for together by backward Euler: 7 unknowns. Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 100.0, 7))'
  []
  # Load up, reverse, load up again.
  [cycle]
    type = Python
    expr = 'torch.tensor([0.0, 0.5, 1.0, 0.3, -0.6, -1.0, 0.4])'
  []
  # Deviatoric tension from barely elastic to well into yield, and shear.
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[0.1, -0.05, -0.05, 0.0, 0.0, 0.0],
                                 [1.0, -0.5, -0.5, 0.0, 0.0, 0.0],
                                 [4.0, -2.0, -2.0, 0.0, 0.0, 0.0],
                                 [2.0, -1.0, -1.0, 0.5, -1.5, 3.0]])'
  []
  [strains]
    type = Python
    expr = 'SR2(cycle[:, None, None] * amplitudes)'
  []
[]

[Models]
  # --- stress state
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
  # --- flow
  [isotropic_hardening]
    type = VoceIsotropicHardening
    equivalent_plastic_strain = 'equivalent_plastic_strain'
    isotropic_hardening = 'isotropic_hardening'
    saturated_hardening = 140
    saturation_rate = 25
  []
  [yield_function]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'yield_function'
    yield_stress = 110
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    yield_function = 'yield_function'
    flow_rate = 'flow_rate'
    reference_stress = 120
    exponent = 6
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
  # --- elasticity, as rates
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
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'elastic_strain'
    stress = 'stress'
    rate_form = true
    coefficients = '2.0e5 0.29'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  # --- backward Euler
  [integrate_stress]
    type = SR2BackwardEulerTimeIntegration
    variable = 'stress'
  []
  [integrate_equivalent_plastic_strain]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
    rate = 'flow_rate'
  []
  [residual]
    type = ComposedModel
    models = 'mandel_stress effective_stress isotropic_hardening yield_function flow_rate flow_direction plastic_flow
              strain_rate elastic_strain_rate elasticity integrate_stress integrate_equivalent_plastic_strain'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'stress'
    unknowns_Scalar = 'equivalent_plastic_strain'
  []
  [model]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'stress equivalent_plastic_strain'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-10
    rel_tol = 1e-10
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
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
