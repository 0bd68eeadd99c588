# Perzyna viscoplasticity past a fixed von Mises surface, driven by a total strain, one implicit
# update between the strain and the stress. Backward Euler, six unknowns. Units: MPa, s.
# Compiled in several ways by the tests: see RECIPES in artifact_cache.py.

[Models]
  [elastic_strain]
    type = SR2LinearCombination
    from = 'strain plastic_strain'
    to = 'elastic_strain'
    weights = '1 -1'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '150e3 0.25'
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
    yield_stress = 60
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    yield_function = 'yield_function'
    flow_rate = 'flow_rate'
    reference_stress = 120
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
    models = 'elastic_strain elasticity flow_direction von_mises yield_surface flow_rate
              plastic_flow integrate'
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
    max_substepping_level = 0
    incremental_variables = 'strain'
    param_sensitivity_solver = 'lu'
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
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-12
    rel_tol = 1e-10
    max_its = 50
  []
  [lu]
    type = DenseLU
  []
  [gmres]
    type = GMRES
    rel_tol = 1e-8
    preconditioner = 'jacobi'
    cache_strategy = 'chord'
  []
  [bicgstab]
    type = BiCGStab
    rel_tol = 1e-8
  []
  [jacobi]
    type = JacobiPreconditioner
  []
[]
