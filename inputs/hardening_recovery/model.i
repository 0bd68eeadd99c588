# Hardening against static recovery: the isotropic hardening grows towards saturation with plastic flow and decays with
# a power of itself, the back stress follows Frederick and Armstrong and decays likewise; both are unknowns beside the
# stress, which is integrated as a rate. A hold follows the loading, so that recovery wins. Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 5.0, 10.0, 20.0, 200.0, 2000.0, 2010.0]))'
  []
  [load]
    type = Python
    expr = 'torch.tensor([0.0, 0.4, 0.7, 1.0, 1.0, 1.0, 0.5])'
  []
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[6.0, -3.0, -3.0, 0.0, 0.0, 0.0],
                                 [2.0, 0.0, -2.0, 1.0, -4.0, 0.0],
                                 [0.2, -0.1, -0.1, 0.0, 0.0, 0.3]])'
  []
  [strains]
    type = Python
    expr = 'SR2(load[:, None, None] * amplitudes)'
  []
[]

[Models]
  [overstress]
    type = SR2LinearCombination
    from = 'stress back_stress'
    weights = '1 -1'
    to = 'overstress'
  []
  [effective_stress]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'overstress'
    invariant = 'effective_stress'
  []
  [yield_function]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'yield_function'
    yield_stress = 60
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    yield_function = 'yield_function'
    flow_rate = 'flow_rate'
    reference_stress = 240
    exponent = 4
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
  # --- isotropic hardening
  [isotropic_growth]
    type = SlopeSaturationVoceIsotropicHardening
    flow_rate = 'flow_rate'
    isotropic_hardening = 'isotropic_hardening'
    isotropic_hardening_rate = 'isotropic_growth'
    saturated_hardening = 70
    initial_hardening_rate = 6000
  []
  [isotropic_recovery]
    type = PowerLawIsotropicHardeningStaticRecovery
    isotropic_hardening = 'isotropic_hardening'
    isotropic_hardening_rate = 'isotropic_recovery'
    tau = 400
    n = 2.5
  []
  [isotropic_rate]
    type = ScalarLinearCombination
    from = 'isotropic_growth isotropic_recovery'
    to = 'isotropic_hardening_rate'
  []
  # --- back stress
  [back_growth]
    type = FredrickArmstrongPlasticHardening
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    back_stress = 'back_stress'
    back_stress_rate = 'back_growth'
    C = 12000
    g = 150
  []
  [back_recovery]
    type = PowerLawKinematicHardeningStaticRecovery
    back_stress = 'back_stress'
    back_stress_rate = 'back_recovery'
    tau = 500
    n = 3
  []
  [back_rate]
    type = SR2LinearCombination
    from = 'back_growth back_recovery'
    to = 'back_stress_rate'
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
    coefficients = '1.7e5 0.31'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  # --- backward Euler
  [integrate_stress]
    type = SR2BackwardEulerTimeIntegration
    variable = 'stress'
  []
  [integrate_isotropic]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'isotropic_hardening'
  []
  [integrate_back]
    type = SR2BackwardEulerTimeIntegration
    variable = 'back_stress'
  []
  [residual]
    type = ComposedModel
    models = 'overstress effective_stress yield_function flow_rate flow_direction plastic_flow
              isotropic_growth isotropic_recovery isotropic_rate back_growth back_recovery back_rate
              strain_rate elastic_strain_rate elasticity integrate_stress integrate_isotropic integrate_back'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'stress back_stress'
    unknowns_Scalar = 'isotropic_hardening'
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
    unknowns = 'stress back_stress isotropic_hardening'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    max_linesearch_iterations = 6
    abs_tol = 1e-9
    rel_tol = 1e-12
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
    prescribed_SR2_names = 'strain'
    prescribed_SR2_values = 'strains'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
