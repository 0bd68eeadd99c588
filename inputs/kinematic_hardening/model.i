# Rate-independent plasticity with linear isotropic and linear kinematic hardening, all of it associative: flow
# direction and both hardening directions are the derivatives of one yield function. The consistency condition is
# enforced as a minimum, so that Newton switches between an elastic and a plastic branch. Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 8.0, 9))'
  []
  # Load, reverse past yield, load again.
  [cycle]
    type = Python
    expr = 'torch.tensor([0.0, 0.2, 0.6, 1.0, 0.4, -0.3, -0.9, 0.0, 0.9])'
  []
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[4.0, -2.0, -2.0, 0.0, 0.0, 0.0],
                                 [1.0, 0.5, -1.2, 1.5, 0.0, -0.8],
                                 [0.3, -0.15, -0.15, 0.0, 0.2, 0.0]])'
  []
  [strains]
    type = Python
    expr = 'SR2(cycle[:, None, None] * amplitudes)'
  []
[]

[Models]
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
    coefficients = '2.0e5 0.29'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [mandel_stress]
    type = IsotropicMandelStress
    cauchy_stress = 'stress'
    mandel_stress = 'mandel_stress'
  []
  [isotropic_hardening]
    type = LinearIsotropicHardening
    equivalent_plastic_strain = 'equivalent_plastic_strain'
    isotropic_hardening = 'isotropic_hardening'
    hardening_modulus = 800
  []
  [kinematic_hardening]
    type = LinearKinematicHardening
    kinematic_plastic_strain = 'kinematic_plastic_strain'
    back_stress = 'back_stress'
    hardening_modulus = 9000
  []
  # --- the yield function and its derivatives
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
  [surface]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'yield_function'
    yield_stress = 180
  []
  [yield_function]
    type = ComposedModel
    models = 'overstress effective_stress surface'
  []
  [normality]
    type = Normality
    model = 'yield_function'
    function = 'yield_function'
    from = 'mandel_stress back_stress isotropic_hardening'
    to = 'flow_direction kinematic_direction isotropic_direction'
  []
  # --- rates
  [plastic_strain_rate]
    type = AssociativePlasticFlow
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    plastic_strain_rate = 'plastic_strain_rate'
  []
  [kinematic_rate]
    type = AssociativeKinematicPlasticHardening
    flow_rate = 'flow_rate'
    kinematic_hardening_direction = 'kinematic_direction'
    kinematic_plastic_strain_rate = 'kinematic_plastic_strain_rate'
  []
  [isotropic_rate]
    type = AssociativeIsotropicPlasticHardening
    flow_rate = 'flow_rate'
    isotropic_hardening_direction = 'isotropic_direction'
    equivalent_plastic_strain_rate = 'equivalent_plastic_strain_rate'
  []
  # --- backward Euler and consistency
  [integrate_plastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'plastic_strain'
  []
  [integrate_kinematic]
    type = SR2BackwardEulerTimeIntegration
    variable = 'kinematic_plastic_strain'
  []
  [integrate_isotropic]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
  []
  [consistency]
    type = MinMapComplementarity
    a = 'yield_function'
    a_inequality = 'LE'
    b = 'flow_rate'
    complementarity = 'flow_rate_residual'
  []
  [residual]
    type = ComposedModel
    models = 'elastic_strain elasticity mandel_stress isotropic_hardening kinematic_hardening yield_function normality
              plastic_strain_rate kinematic_rate isotropic_rate
              integrate_plastic_strain integrate_kinematic integrate_isotropic consistency'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain kinematic_plastic_strain'
    unknowns_Scalar = 'equivalent_plastic_strain flow_rate'
  []
  [return_map]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model]
    type = ComposedModel
    models = 'return_map elastic_strain elasticity kinematic_hardening'
    additional_outputs = 'plastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'plastic_strain kinematic_plastic_strain equivalent_plastic_strain flow_rate'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-10
    rel_tol = 1e-12
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
