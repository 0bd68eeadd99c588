# Viscoplasticity under mixed control: of every component either the strain or the stress is prescribed, chosen per
# component and point and changed on the way; the free counterparts are unknowns beside the plastic strain and the
# equivalent plastic strain. Perzyna flow past a von Mises surface with linear and Voce hardening. Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 60.0, 7))'
  []
  [load]
    type = Python
    expr = 'torch.tensor([0.0, 0.4, 0.7, 1.0, 1.0, 0.6, 0.2])'
  []
  # One where the strain is prescribed: uniaxial stress driven by strain, by stress, and plane strain with a shear
  # stress; the first point is held at its stress from the fourth step on.
  [controls]
    type = Python
    expr = '''
      table = torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                            [0.0, 1.0, 1.0, 1.0, 0.0, 1.0]]).repeat(7, 1, 1)
      table[4:, 0, 0] = 0.0
      result = SR2(table)
    '''
  []
  [applied_values]
    type = Python
    expr = '''
      table = load[:, None, None] * torch.tensor([[6e-3, 0.0, 0.0, 0.0, 0.0, 0.0],
                                                  [260.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                                                  [170.0, 2e-3, 0.0, 0.0, 90.0, -1e-3]])
      table[4:, 0, 0] = torch.tensor([230.0, 120.0, 0.0])
      result = SR2(table)
    '''
  []
[]

[Models]
  [control]
    type = MixedControlSetup
    control = 'control'
    x_above = 'applied'
    x_below = 'free'
    y = 'strain'
    z = 'stress'
  []
  [elastic_strain]
    type = SR2LinearCombination
    from = 'strain plastic_strain'
    weights = '1 -1'
    to = 'elastic_strain'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'elastic_strain'
    stress = 'elastic_stress'
    coefficients = '1.9e5 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [balance]
    type = SR2LinearCombination
    from = 'elastic_stress stress'
    weights = '1 -1'
    to = 'free_residual'
  []
  [effective_stress]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'stress'
    invariant = 'effective_stress'
  []
  [linear_hardening]
    type = LinearIsotropicHardening
    equivalent_plastic_strain = 'equivalent_plastic_strain'
    isotropic_hardening = 'linear_hardening'
    hardening_modulus = 1500
  []
  [voce_hardening]
    type = VoceIsotropicHardening
    equivalent_plastic_strain = 'equivalent_plastic_strain'
    isotropic_hardening = 'voce_hardening'
    saturated_hardening = 60
    saturation_rate = 120
  []
  [isotropic_hardening]
    type = ScalarLinearCombination
    from = 'linear_hardening voce_hardening'
    to = 'isotropic_hardening'
  []
  [yield_function]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'yield_function'
    yield_stress = 150
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    yield_function = 'yield_function'
    flow_rate = 'flow_rate'
    reference_stress = 200
    exponent = 4
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
    models = 'control elastic_strain elasticity balance effective_stress linear_hardening voce_hardening
              isotropic_hardening yield_function flow_rate flow_direction plastic_flow
              integrate_plastic_strain integrate_equivalent_plastic_strain'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
  []
  [model]
    type = ComposedModel
    models = 'update control'
    additional_outputs = 'free'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'free plastic_strain equivalent_plastic_strain'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    linesearch_type = 'BACKTRACKING'
    max_linesearch_iterations = 8
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
    prescribed_SR2_names = 'control applied'
    prescribed_SR2_values = 'controls applied_values'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
