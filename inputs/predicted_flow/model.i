# Viscoplasticity with a first guess of the flow rate: along the trial direction the step condenses to one equation for
# the rate, in which the yield function falls linearly with it; a predictor that iterates on its own solves it, and
# plastic strain and equivalent plastic strain start from there. Linear hardening makes the guess nearly exact for
# loads that keep their direction. Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 1.0, 10.0, 11.0, 100.0, 101.0]))'
  []
  [load]
    type = Python
    expr = 'torch.tensor([0.0, 0.5, 1.0, 0.2, -1.0, 0.5])'
  []
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[6.0, -3.0, -3.0, 0.0, 0.0, 0.0],
                                 [1.0, 1.0, -2.0, 0.0, 0.0, 3.0],
                                 [0.2, -0.1, -0.1, 0.1, 0.0, 0.0]])'
  []
  # The second point is sheared too, from the third step on.
  [strains]
    type = Python
    expr = 'SR2(load[:, None, None] * amplitudes
                + 1e-3 * torch.tensor([0.0, 0.0, 0.0, 2.0, 2.0, 2.0])[:, None, None]
                * torch.tensor([[0.0] * 6, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0], [0.0] * 6]))'
  []
[]

[Models]
  # --- the law, shared by predictor and residual
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
    coefficients = '1.9e5 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [effective_stress]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'stress'
    invariant = 'effective_stress'
  []
  [isotropic_hardening]
    type = LinearIsotropicHardening
    equivalent_plastic_strain = 'equivalent_plastic_strain'
    isotropic_hardening = 'isotropic_hardening'
    hardening_modulus = 2500
  []
  [yield_function]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'yield_function'
    yield_stress = 140
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    yield_function = 'yield_function'
    flow_rate = 'flow_rate'
    reference_stress = 350
    exponent = 5
  []
  # --- residual
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
    models = 'elastic_strain elasticity effective_stress isotropic_hardening yield_function flow_rate
              flow_direction plastic_flow integrate_plastic_strain integrate_equivalent_plastic_strain'
  []
  # --- predictor: trial direction, yield function along it, the rate, the state that it leads to
  [trial_strain]
    type = SR2LinearCombination
    from = 'strain plastic_strain~1'
    weights = '1 -1'
    to = 'trial_strain'
  []
  [trial_elasticity]
    type = LinearIsotropicElasticity
    strain = 'trial_strain'
    stress = 'trial_stress'
    coefficients = '1.9e5 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [trial_direction]
    type = AssociativeJ2FlowDirection
    mandel_stress = 'trial_stress'
    flow_direction = 'trial_direction'
  []
  [trial_flow]
    type = AssociativePlasticFlow
    flow_rate = 'flow_rate'
    flow_direction = 'trial_direction'
    plastic_strain_rate = 'plastic_strain_rate'
  []
  [advance_plastic_strain]
    type = SR2ForwardEulerTimeIntegration
    variable = 'plastic_strain'
  []
  [advance_equivalent_plastic_strain]
    type = ScalarForwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
    rate = 'flow_rate'
  []
  [return_path]
    type = ComposedModel
    models = 'trial_flow advance_plastic_strain advance_equivalent_plastic_strain
              elastic_strain elasticity effective_stress isotropic_hardening yield_function'
  []
  [condensation]
    type = RateCondensation
    model = 'return_path'
    rate = 'flow_rate'
    driving_force = 'yield_function'
    coupling = 'coupling'
    trial_driving_force = 'trial_yield_function'
  []
  [guess_rate]
    type = CoordinateDescentPredictor
    rate_law = 'flow_rate'
    driving_force_input = 'yield_function'
    coupling = 'coupling'
    trial_driving_force = 'trial_yield_function'
    rate = 'flow_rate'
    sweeps = 1
  []
  [predictor]
    type = ComposedModel
    models = 'trial_strain trial_elasticity trial_direction condensation guess_rate
              trial_flow advance_plastic_strain advance_equivalent_plastic_strain'
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
    unknowns = 'plastic_strain equivalent_plastic_strain'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-12
    rel_tol = 1e-12
    max_its = 25
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
