# Phase-field damage at a point, without its gradient term: the strain energy splits into a part that cracks release
# (dilation and shear) and a part they do not (compression); the degraded energy and the crack energy make one
# potential, whose derivatives are the stress and the force that drives damage. Damage grows only, by a
# complementarity condition. Units: MPa.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 6.0, 7))'
  []
  # Load, unload, load further.
  [path]
    type = Python
    expr = 'torch.tensor([0.0, 0.4, 0.8, 0.5, 1.0, 1.4, 0.2])'
  []
  # Tension, shear, compression.
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[3.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                                 [1.0, -1.0, 0.0, 0.0, 0.0, 3.0],
                                 [-2.0, -2.0, -2.5, 0.0, 0.3, 0.0]])'
  []
  [strains]
    type = Python
    expr = 'SR2(path[:, None, None] * amplitudes)'
  []
[]

[Models]
  # --- the potential
  [strain_energy]
    type = LinearIsotropicStrainEnergyDensity
    strain = 'strain'
    active_strain_energy_density = 'active_energy'
    inactive_strain_energy_density = 'inactive_energy'
    coefficients = '3.0e4 0.2'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    decomposition = 'VOLDEV'
  []
  [degradation]
    type = PowerDegradationFunction
    phase = 'phase'
    degradation = 'degradation'
    power = 2
    eta = 1e-4
  []
  [degraded_energy]
    type = ScalarMultiplication
    from = 'degradation active_energy'
    to = 'degraded_energy'
  []
  [crack]
    type = CrackGeometricFunctionAT2
    phase = 'phase'
    crack = 'crack'
  []
  # Fracture toughness over twice the crack width: 0.05 MPa.
  [total]
    type = ScalarLinearCombination
    from = 'degraded_energy inactive_energy crack'
    weights = '1 1 0.05'
    to = 'energy'
  []
  [energy]
    type = ComposedModel
    models = 'strain_energy degradation degraded_energy crack total'
  []
  # --- damage
  [damage_force]
    type = Normality
    model = 'energy'
    function = 'energy'
    from = 'phase'
    to = 'damage_force'
  []
  [phase_rate]
    type = ScalarVariableRate
    variable = 'phase'
  []
  [irreversibility]
    type = FBComplementarity
    a = 'damage_force'
    a_inequality = 'GE'
    b = 'phase_rate'
    complementarity = 'phase_residual'
  []
  [residual]
    type = ComposedModel
    models = 'damage_force phase_rate irreversibility'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'phase'
  []
  [damage]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  # --- after the solve: stress, and two other measures of the same damage
  [stress]
    type = Normality
    model = 'energy'
    function = 'energy'
    from = 'strain'
    to = 'stress'
  []
  [rational_degradation]
    type = RationalDegradationFunction
    phase = 'phase'
    degradation = 'rational_degradation'
    power = 2
    b1 = 1.3
    b2 = -0.5
    b3 = 0.1
    eta = 1e-4
  []
  [linear_crack]
    type = CrackGeometricFunctionAT1
    phase = 'phase'
    crack = 'linear_crack'
  []
  [model]
    type = ComposedModel
    models = 'damage energy stress rational_degradation linear_crack'
    additional_outputs = 'phase'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'phase'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-12
    rel_tol = 1e-12
    max_its = 40
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
