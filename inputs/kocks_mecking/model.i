# Kocks-Mecking plasticity from room temperature to creep: the normalized activation energy of the strain rate decides
# smoothly between rate-independent flow (yield stress proportional to the shear modulus) and a power law whose
# exponent and reference stress follow the temperature. The shear modulus is tabulated. The rate-independent flow rate
# is an unknown of its own. Units: N, mm, s, K.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 30.0, 7))'
  []
  # Cold, in the transition, hot; the last one is heated while it is strained.
  [temperatures]
    type = Python
    expr = 'Scalar(torch.tensor([300.0, 850.0, 1150.0, 600.0])
                   + torch.linspace(0.0, 1.0, 7)[:, None] * torch.tensor([0.0, 0.0, 0.0, 500.0]))'
  []
  [amplitudes]
    type = Python
    expr = '1e-2 * torch.tensor([[1.0, -0.5, -0.5, 0.0, 0.0, 0.0],
                                 [0.8, -0.4, -0.4, 0.0, 0.6, 0.0],
                                 [0.0, 0.5, -0.5, 0.9, 0.0, 0.0],
                                 [-0.6, 0.3, 0.3, 0.0, 0.0, 1.0]])'
  []
  [strains]
    type = Python
    expr = 'SR2(torch.linspace(0.0, 1.0, 7)[:, None, None] * amplitudes)'
  []
  # neml2-compile evaluates this in single precision unless told otherwise.
  [knots]
    type = Python
    expr = 'Scalar(torch.tensor([300.0, 600.0, 900.0, 1200.0], dtype=torch.float64))'
  []
  [shear_moduli]
    type = Python
    expr = 'Scalar(torch.tensor([7.7e4, 6.9e4, 6.0e4, 5.1e4], dtype=torch.float64))'
  []
  [youngs_moduli]
    type = Python
    expr = 'Scalar(torch.tensor([2.0e5, 1.8e5, 1.56e5, 1.33e5], dtype=torch.float64))'
  []
[]

[Models]
  # --- what depends on temperature
  [shear_modulus]
    type = ScalarLinearInterpolation
    argument = 'temperature'
    abscissa = 'knots'
    ordinate = 'shear_moduli'
  []
  [youngs_modulus]
    type = ScalarLinearInterpolation
    argument = 'temperature'
    abscissa = 'knots'
    ordinate = 'youngs_moduli'
  []
  [exponent]
    type = KocksMeckingRateSensitivity
    temperature = 'temperature'
    rate_sensitivity = 'exponent'
    A = -8.5
    shear_modulus = 'shear_modulus'
    k = 1.380649e-20
    b = 2.5e-7
  []
  [reference_stress]
    type = KocksMeckingFlowViscosity
    temperature = 'temperature'
    viscosity = 'reference_stress'
    A = -8.5
    B = -2.0
    shear_modulus = 'shear_modulus'
    eps0 = 1e10
    k = 1.380649e-20
    b = 2.5e-7
  []
  [cold_yield_stress]
    type = KocksMeckingYieldStress
    yield_stress = 'cold_yield_stress'
    C = -5.4
    shear_modulus = 'shear_modulus'
  []
  [intercept]
    type = KocksMeckingIntercept
    intercept = 'intercept'
    A = -8.5
    B = -2.0
    C = -5.4
  []
  # --- rate of strain and what it activates
  [strain_rate]
    type = SR2VariableRate
    variable = 'strain'
  []
  [effective_strain_rate]
    type = SR2Invariant
    invariant_type = 'EFFECTIVE_STRAIN'
    tensor = 'strain_rate'
    invariant = 'effective_strain_rate'
  []
  [activation_energy]
    type = KocksMeckingActivationEnergy
    temperature = 'temperature'
    strain_rate = 'effective_strain_rate'
    activation_energy = 'activation_energy'
    shear_modulus = 'shear_modulus'
    eps0 = 1e10
    k = 1.380649e-20
    b = 2.5e-7
  []
  # --- stress
  [elastic_strain]
    type = SR2LinearCombination
    from = 'strain plastic_strain'
    weights = '1 -1'
    to = 'elastic_strain'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'elastic_strain'
    stress = 'stress'
    coefficients = 'youngs_modulus 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [effective_stress]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'stress'
    invariant = 'effective_stress'
  []
  [isotropic_hardening]
    type = VoceIsotropicHardening
    equivalent_plastic_strain = 'equivalent_plastic_strain'
    isotropic_hardening = 'isotropic_hardening'
    saturated_hardening = 80
    saturation_rate = 50
  []
  # --- the two flow rules and the switch
  [cold_yield]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'cold_yield'
    yield_stress = 'cold_yield_stress'
  []
  [consistency]
    type = FBComplementarity
    a = 'cold_yield'
    a_inequality = 'LE'
    b = 'cold_flow_rate'
    complementarity = 'cold_flow_rate_residual'
  []
  [hot_yield]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'hot_yield'
    yield_stress = 0
  []
  [hot_flow_rate]
    type = PerzynaPlasticFlowRate
    yield_function = 'hot_yield'
    flow_rate = 'hot_flow_rate'
    reference_stress = 'reference_stress'
    exponent = 'exponent'
  []
  [flow_rate]
    type = KocksMeckingFlowSwitch
    activation_energy = 'activation_energy'
    rate_independent_flow_rate = 'cold_flow_rate'
    rate_dependent_flow_rate = 'hot_flow_rate'
    flow_rate = 'flow_rate'
    g0 = 'intercept'
    sharpness = 20
  []
  [flow_direction]
    type = AssociativeJ2FlowDirection
    mandel_stress = 'stress'
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
    models = 'strain_rate effective_strain_rate activation_energy elastic_strain elasticity effective_stress
              isotropic_hardening cold_yield consistency hot_yield hot_flow_rate flow_rate flow_direction plastic_flow
              integrate_plastic_strain integrate_equivalent_plastic_strain'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain'
    unknowns_Scalar = 'equivalent_plastic_strain cold_flow_rate'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model]
    type = ComposedModel
    models = 'update elastic_strain elasticity'
    additional_outputs = 'plastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'plastic_strain equivalent_plastic_strain cold_flow_rate'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    max_linesearch_iterations = 10
    abs_tol = 1e-10
    rel_tol = 1e-12
    max_its = 100
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
    prescribed_Scalar_names = 'temperature'
    prescribed_Scalar_values = 'temperatures'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
