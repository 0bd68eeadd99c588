# J2 viscoplasticity with Voce hardening, solved by backward Euler for the plastic strain and the
# equivalent plastic strain: a small implicit model that neml2 interprets, with one block for each way
# of solving. Units: MPa, s.

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

  [full_step]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [backtracking]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton_backtracking'
    predictor = 'predictor'
  []
  [strong_wolfe]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton_strong_wolfe'
    predictor = 'predictor'
  []
  [out_of_iterations]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton_of_few_iterations'
    predictor = 'predictor'
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
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-12
    rel_tol = 1e-10
    max_its = 50
  []
  [newton_backtracking]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    linesearch_type = BACKTRACKING
    linesearch_cutback = 3.0
    linesearch_stopping_criteria = 0.3
    max_linesearch_iterations = 5
    abs_tol = 1e-12
    rel_tol = 1e-10
    max_its = 50
  []
  [newton_strong_wolfe]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    linesearch_type = STRONG_WOLFE
    linesearch_stopping_criteria = 0.999
    max_linesearch_iterations = 5
    abs_tol = 1e-12
    rel_tol = 1e-10
    max_its = 50
  []
  [newton_of_few_iterations]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-12
    rel_tol = 1e-10
    max_its = 4
  []
  [lu]
    type = DenseLU
  []
[]
