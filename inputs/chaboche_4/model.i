# Chaboche viscoplasticity with four back stresses, whose rates of saturation are spread over three decades of strain:
# one for the knee of a loop, the last nearly linear. Otherwise as with two: Perzyna flow past a von Mises surface with
# Voce hardening, dynamic and static recovery, everything solved for together by backward Euler: 31 unknowns.
# Units: MPa, s.

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
  [back_stress]
    type = SR2LinearCombination
    from = 'X1 X2 X3 X4'
    to = 'back_stress'
  []
  [overstress]
    type = SR2LinearCombination
    from = 'mandel_stress back_stress'
    weights = '1 -1'
    to = 'overstress'
  []
  [effective_stress]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'overstress'
    invariant = 'effective_stress'
  []
  # --- flow
  [isotropic_hardening]
    type = VoceIsotropicHardening
    equivalent_plastic_strain = 'equivalent_plastic_strain'
    isotropic_hardening = 'isotropic_hardening'
    saturated_hardening = 60
    saturation_rate = 12
  []
  [yield_function]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'yield_function'
    yield_stress = 90
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    yield_function = 'yield_function'
    flow_rate = 'flow_rate'
    reference_stress = 150
    exponent = 5
  []
  [flow_direction]
    type = AssociativeJ2FlowDirection
    mandel_stress = 'overstress'
    flow_direction = 'flow_direction'
  []
  [plastic_flow]
    type = AssociativePlasticFlow
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    plastic_strain_rate = 'plastic_strain_rate'
  []
  # --- back stresses
  [X1_evolution]
    type = ChabochePlasticHardening
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    back_stress = 'X1'
    C = 90000
    g = 1500
    A = 1e-9
    a = 2.3
  []
  [X2_evolution]
    type = ChabochePlasticHardening
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    back_stress = 'X2'
    C = 24000
    g = 260
    A = 5e-10
    a = 2.2
  []
  [X3_evolution]
    type = ChabochePlasticHardening
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    back_stress = 'X3'
    C = 6000
    g = 45
    A = 1e-10
    a = 2.5
  []
  [X4_evolution]
    type = ChabochePlasticHardening
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    back_stress = 'X4'
    C = 1200
    g = 5
    A = 2e-11
    a = 2.8
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
    coefficients = '1.6e5 0.3'
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
  [integrate_X1]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X1'
  []
  [integrate_X2]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X2'
  []
  [integrate_X3]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X3'
  []
  [integrate_X4]
    type = SR2BackwardEulerTimeIntegration
    variable = 'X4'
  []
  [residual]
    type = ComposedModel
    models = 'mandel_stress back_stress overstress effective_stress isotropic_hardening yield_function
              flow_rate flow_direction plastic_flow
              X1_evolution X2_evolution X3_evolution X4_evolution
              strain_rate elastic_strain_rate elasticity
              integrate_stress integrate_equivalent_plastic_strain
              integrate_X1 integrate_X2 integrate_X3 integrate_X4'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'stress X1 X2 X3 X4'
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
    unknowns = 'stress equivalent_plastic_strain X1 X2 X3 X4'
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
