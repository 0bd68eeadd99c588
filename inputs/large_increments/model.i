# Rate-independent J2 plasticity under large increments of a load that keeps its direction, with hardening that
# saturates early. The end of an increment does not depend on how it is cut then: compiled with few Newton iterations
# and adaptive substeps the model gives what it gives here, with many iterations and without. Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 1.0, 2.0, 3.0]))'
  []
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[30.0, -15.0, -15.0, 0.0, 0.0, 0.0],
                                 [2.0, -1.0, -1.0, 0.0, 3.0, 0.0],
                                 [0.3, -0.15, -0.15, 0.0, 0.0, 0.0],
                                 [10.0, 10.0, -20.0, 0.0, 0.0, 40.0]])'
  []
  [strains]
    type = Python
    expr = 'SR2(torch.tensor([0.0, 0.4, 1.0, 1.5])[:, None, None] * amplitudes)'
  []
[]

[Models]
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
    saturated_hardening = 150
    saturation_rate = 250
  []
  [yield_function]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'yield_function'
    yield_stress = 100
  []
  [flow_rate]
    type = ScalarVariableRate
    variable = 'equivalent_plastic_strain'
    variable_rate = 'flow_rate'
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
    coefficients = '2.0e5 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [integrate_stress]
    type = SR2BackwardEulerTimeIntegration
    variable = 'stress'
  []
  [consistency]
    type = FBComplementarity
    a = 'yield_function'
    a_inequality = 'LE'
    b = 'flow_rate'
    complementarity = 'equivalent_plastic_strain_residual'
  []
  [residual]
    type = ComposedModel
    models = 'effective_stress isotropic_hardening yield_function flow_rate flow_direction plastic_flow
              strain_rate elastic_strain_rate elasticity integrate_stress consistency'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'stress'
    unknowns_Scalar = 'equivalent_plastic_strain'
  []
  [model]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
    max_substepping_level = 0
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'stress equivalent_plastic_strain'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-9
    rel_tol = 1e-11
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
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
