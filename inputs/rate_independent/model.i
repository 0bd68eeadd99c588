# Rate-independent J2 plasticity with linear isotropic hardening: the flow rate is an unknown of its own,
# fixed by the consistency condition f <= 0, flow rate >= 0, f * flow rate = 0 (Fischer-Burmeister form).
# The first steps are elastic at every point, so that Newton converges at its guess there. Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 6))'
  []
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[1.5, -0.75, -0.75, 0.0, 0.0, 0.0],
                                 [2.0, -1.0, -1.0, 0.0, 0.0, 0.0],
                                 [0.0, 0.0, 0.0, 0.5, 0.9, -1.2]])'
  []
  [strains]
    type = Python
    expr = 'SR2(torch.linspace(0.0, 1.0, 6)[:, None, None] * amplitudes)'
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
    coefficients = '2.0e5 0.3'
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
    type = LinearIsotropicHardening
    equivalent_plastic_strain = 'equivalent_plastic_strain'
    isotropic_hardening = 'isotropic_hardening'
    hardening_modulus = 2000
  []
  [yield_function]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'yield_function'
    yield_stress = 200
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
  [consistency]
    type = FBComplementarity
    a = 'yield_function'
    a_inequality = 'LE'
    b = 'flow_rate'
    complementarity = 'flow_rate_residual'
  []
  [residual]
    type = ComposedModel
    models = 'elastic_strain elasticity mandel_stress effective_stress isotropic_hardening yield_function
              flow_direction plastic_flow
              integrate_plastic_strain integrate_equivalent_plastic_strain consistency'
  []
  [return_map]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
  []
  [model]
    type = ComposedModel
    models = 'return_map elastic_strain elasticity'
    additional_outputs = 'plastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'plastic_strain equivalent_plastic_strain flow_rate'
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
