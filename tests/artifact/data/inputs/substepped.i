[Models]
  [elastic_strain]
    type = SR2LinearCombination
    from = 'strain plastic_strain'
    to = 'elastic_strain'
    weights = '1 -1'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '200e3 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'elastic_strain'
    stress = 'stress'
  []
  [flow_direction]
    type = AssociativeJ2FlowDirection
    mandel_stress = 'stress'
    flow_direction = 'flow_direction'
  []
  [von_mises]
    type = SR2Invariant
    tensor = 'stress'
    invariant = 'effective_stress'
    invariant_type = 'VONMISES'
  []
  [yield_surface]
    type = YieldFunction
    effective_stress = 'effective_stress'
    yield_function = 'yield_function'
    yield_stress = 100
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    yield_function = 'yield_function'
    flow_rate = 'flow_rate'
    reference_stress = 150
    exponent = 4
  []
  [plastic_flow]
    type = AssociativePlasticFlow
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    plastic_strain_rate = 'plastic_strain_rate'
  []
  [integrate]
    type = SR2BackwardEulerTimeIntegration
    variable = 'plastic_strain'
    rate = 'plastic_strain_rate'
  []
  [residual]
    type = ComposedModel
    models = 'elastic_strain elasticity flow_direction von_mises yield_surface flow_rate plastic_flow integrate'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
    max_substepping_level = 3
    incremental_variables = 'strain'
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
    unknowns = 'plastic_strain'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    abs_tol = 1e-9
    rel_tol = 1e-7
    max_its = 50
    max_linesearch_iterations = 5
  []
  [lu]
    type = DenseLU
  []
[]
