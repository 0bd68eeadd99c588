# Creep with hardening, solved without a matrix: each Newton step is a GMRES solve, preconditioned by the diagonal
# blocks of the unknowns and tight enough not to slow Newton down. Norton-like flow (no yield stress) against Voce
# hardening and one recovering back stress; small restarts, so that cycles of GMRES are restarted. Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 1.0, 3.0, 6.0, 10.0, 40.0]))'
  []
  [load]
    type = Python
    expr = 'torch.tensor([0.0, 0.3, 0.6, 1.0, 1.0, 0.4])'
  []
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[3.0, -1.5, -1.5, 0.0, 0.0, 0.0],
                                 [1.0, 0.4, -1.4, 0.0, 2.0, 0.7],
                                 [0.3, -0.1, -0.2, 0.4, 0.0, 0.0]])'
  []
  [strains]
    type = Python
    expr = 'SR2(load[:, None, None] * amplitudes)'
  []
[]

[Models]
  [elastic_strain]
    type = SR2LinearCombination
    from = 'strain creep_strain'
    weights = '1 -1'
    to = 'elastic_strain'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'elastic_strain'
    stress = 'stress'
    coefficients = '1.4e5 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
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
  [hardening]
    type = VoceIsotropicHardening
    equivalent_plastic_strain = 'equivalent_creep_strain'
    isotropic_hardening = 'hardening'
    saturated_hardening = 40
    saturation_rate = 200
  []
  [excess]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'hardening'
    yield_function = 'excess'
    yield_stress = 0
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    yield_function = 'excess'
    flow_rate = 'flow_rate'
    reference_stress = 900
    exponent = 3
  []
  [flow_direction]
    type = AssociativeJ2FlowDirection
    mandel_stress = 'overstress'
    flow_direction = 'flow_direction'
  []
  [flow]
    type = AssociativePlasticFlow
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    plastic_strain_rate = 'creep_strain_rate'
  []
  [back_stress_rate]
    type = ChabochePlasticHardening
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    back_stress = 'back_stress'
    C = 5000
    g = 80
    A = 1e-6
    a = 2
  []
  [integrate_creep_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'creep_strain'
  []
  [integrate_equivalent]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_creep_strain'
    rate = 'flow_rate'
  []
  [integrate_back_stress]
    type = SR2BackwardEulerTimeIntegration
    variable = 'back_stress'
  []
  [residual]
    type = ComposedModel
    models = 'elastic_strain elasticity overstress effective_stress hardening excess flow_rate flow_direction flow
              back_stress_rate integrate_creep_strain integrate_equivalent integrate_back_stress'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'creep_strain back_stress'
    unknowns_Scalar = 'equivalent_creep_strain'
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
    additional_outputs = 'creep_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'creep_strain back_stress equivalent_creep_strain'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'gmres'
    abs_tol = 1e-10
    rel_tol = 1e-12
    max_its = 50
  []
  [gmres]
    type = GMRES
    restart = 6
    max_its = 200
    rel_tol = 1e-5
    preconditioner = 'block_jacobi'
    cache_strategy = 'none'
  []
  [block_jacobi]
    type = BlockJacobiPreconditioner
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
