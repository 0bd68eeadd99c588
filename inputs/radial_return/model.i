# Radial return: with isotropic elasticity a J2 model stays on the ray of its trial stress, so that one scalar per
# point, the equivalent plastic strain, is solved for (Voce hardening, rate-independent); plastic strain and stress
# follow from it along the trial direction. Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 6.0, 7))'
  []
  [cycle]
    type = Python
    expr = 'torch.tensor([0.0, 0.15, 0.6, 1.0, 0.8, -0.5, -1.0])'
  []
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[5.0, -2.5, -2.5, 0.0, 0.0, 0.0],
                                 [1.0, 1.0, -1.0, 3.0, 0.0, 0.0],
                                 [0.2, 0.4, 0.2, 0.0, -0.3, 0.1],
                                 [0.0, 0.0, 0.0, 2.0, 2.0, -4.0]])'
  []
  [strains]
    type = Python
    expr = 'SR2(cycle[:, None, None] * amplitudes)'
  []
[]

[Models]
  # --- trial state
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
    coefficients = '1.1e5 0.34'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [trial_effective_stress]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'trial_stress'
    invariant = 'trial_effective_stress'
  []
  [flow_direction]
    type = AssociativeJ2FlowDirection
    mandel_stress = 'trial_stress'
    flow_direction = 'flow_direction'
  []
  # --- the scalar equation
  [effective_stress]
    type = LinearIsotropicElasticJ2TrialStressUpdate
    elastic_trial_stress = 'trial_effective_stress'
    equivalent_plastic_strain = 'equivalent_plastic_strain'
    updated_trial_stress = 'effective_stress'
    coefficients = '1.1e5 0.34'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [isotropic_hardening]
    type = VoceIsotropicHardening
    equivalent_plastic_strain = 'equivalent_plastic_strain'
    isotropic_hardening = 'isotropic_hardening'
    saturated_hardening = 90
    saturation_rate = 60
  []
  [yield_function]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'yield_function'
    yield_stress = 70
  []
  [flow_rate]
    type = ScalarVariableRate
    variable = 'equivalent_plastic_strain'
    variable_rate = 'flow_rate'
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
    models = 'effective_stress isotropic_hardening yield_function flow_rate consistency'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'equivalent_plastic_strain'
  []
  [return_map]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  # --- back to tensors
  [plastic_strain_rate]
    type = AssociativePlasticFlow
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    plastic_strain_rate = 'plastic_strain_rate'
  []
  [plastic_strain]
    type = SR2ForwardEulerTimeIntegration
    variable = 'plastic_strain'
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
    stress = 'stress'
    coefficients = '1.1e5 0.34'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [model]
    type = ComposedModel
    models = 'trial_strain trial_elasticity trial_effective_stress flow_direction return_map
              flow_rate plastic_strain_rate plastic_strain elastic_strain elasticity'
    additional_outputs = 'equivalent_plastic_strain plastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'equivalent_plastic_strain'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-10
    rel_tol = 1e-12
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
