# Porous plasticity (Gurson, Tvergaard, Needleman): voids soften the yield surface, grow with plastic dilation and are
# drawn together by the sintering stress of Olevsky; the matrix hardens linearly. Flow follows the normal of the yield
# function, which is kept below zero by a complementarity condition. Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 7))'
  []
  # Uniaxial strain in tension, compaction, and shear with some dilation.
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[9.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                                 [-4.0, -4.0, -6.0, 0.0, 0.0, 0.0],
                                 [2.0, 1.0, 0.0, 0.0, 5.0, -3.0]])'
  []
  [strains]
    type = Python
    expr = 'SR2(torch.linspace(0.0, 1.0, 7)[:, None, None] * amplitudes)'
  []
  [initial_voids]
    type = Python
    expr = 'Scalar(torch.tensor([0.02, 0.15, 0.08]))'
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
    coefficients = '7.0e4 0.33'
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
    hardening_modulus = 1200
  []
  # --- yield function
  [flow_invariant]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'mandel_stress'
    invariant = 'flow_invariant'
  []
  [stress_trace]
    type = SR2Invariant
    invariant_type = 'I1'
    tensor = 'mandel_stress'
    invariant = 'stress_trace'
  []
  [sintering_stress]
    type = OlevskySinteringStress
    void_fraction = 'void_fraction'
    sintering_stress = 'sintering_stress'
    surface_tension = 1.2e-3
    particle_radius = 2e-4
  []
  [poro_invariant]
    type = ScalarLinearCombination
    from = 'stress_trace sintering_stress'
    weights = '1 -1'
    to = 'poro_invariant'
  []
  [surface]
    type = GTNYieldFunction
    flow_invariant = 'flow_invariant'
    poro_invariant = 'poro_invariant'
    void_fraction = 'void_fraction'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'yield_function'
    yield_stress = 120
    q1 = 1.5
    q2 = 1.0
    q3 = 2.25
  []
  [yield_function]
    type = ComposedModel
    models = 'flow_invariant stress_trace sintering_stress poro_invariant surface'
  []
  [normality]
    type = Normality
    model = 'yield_function'
    function = 'yield_function'
    from = 'mandel_stress isotropic_hardening'
    to = 'flow_direction isotropic_direction'
  []
  # --- rates
  [plastic_strain_rate]
    type = AssociativePlasticFlow
    flow_rate = 'flow_rate'
    flow_direction = 'flow_direction'
    plastic_strain_rate = 'plastic_strain_rate'
  []
  [isotropic_rate]
    type = AssociativeIsotropicPlasticHardening
    flow_rate = 'flow_rate'
    isotropic_hardening_direction = 'isotropic_direction'
    equivalent_plastic_strain_rate = 'equivalent_plastic_strain_rate'
  []
  [void_rate]
    type = GursonCavitation
    plastic_strain_rate = 'plastic_strain_rate'
    void_fraction = 'void_fraction'
    void_fraction_rate = 'void_fraction_rate'
  []
  # --- backward Euler and consistency
  [integrate_plastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'plastic_strain'
  []
  [integrate_isotropic]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
  []
  [integrate_voids]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'void_fraction'
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
    models = 'elastic_strain elasticity mandel_stress isotropic_hardening yield_function normality
              plastic_strain_rate isotropic_rate void_rate
              integrate_plastic_strain integrate_isotropic integrate_voids consistency'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain'
    unknowns_Scalar = 'equivalent_plastic_strain void_fraction flow_rate'
  []
  [return_map]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
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
    unknowns = 'plastic_strain equivalent_plastic_strain void_fraction flow_rate'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    linesearch_type = 'STRONG_WOLFE'
    max_linesearch_iterations = 6
    abs_tol = 1e-12
    rel_tol = 1e-12
    max_its = 80
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
    ic_Scalar_names = 'void_fraction'
    ic_Scalar_values = 'initial_voids'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
