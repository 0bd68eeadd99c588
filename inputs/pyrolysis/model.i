# Pyrolysis of a binder and crystallization of the char: the binder is consumed by a contracting-geometry reaction, the
# char crystallizes by the law of Avrami and Erofeev; the coefficients of both follow the Arrhenius law. Two implicit
# solves with settings of their own, then masses, the volume of the composite and the strains that go with volume and
# phase. Units: g, mm, s, K.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 600.0, 9))'
  []
  [temperatures]
    type = Python
    expr = 'Scalar(500.0 + torch.linspace(0.0, 1.0, 9)[:, None] * torch.tensor([220.0, 260.0, 300.0]))'
  []
  [seeds]
    type = Python
    expr = 'Scalar(torch.tensor([1e-3, 5e-3, 1e-2]))'
  []
[]

[Models]
  # --- binder
  [binder_coefficient]
    type = ArrheniusParameter
    temperature = 'temperature'
    reference_value = 2.0e4
    activation_energy = 1.0e5
    ideal_gas_constant = 8.314
  []
  [binder_reaction]
    type = ContractingGeometry
    conversion_degree = 'conversion'
    reaction_rate = 'conversion_rate'
    coef = 'binder_coefficient'
    order = 0.67
  []
  [integrate_conversion]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'conversion'
  []
  [binder_residual]
    type = ComposedModel
    models = 'binder_reaction integrate_conversion'
  []
  [binder_predictor]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'conversion'
  []
  [binder]
    type = ImplicitUpdate
    equation_system = 'binder_system'
    solver = 'newton_with_search'
    predictor = 'binder_predictor'
  []
  # --- char
  [char_coefficient]
    type = ArrheniusParameter
    temperature = 'temperature'
    reference_value = 40.0
    activation_energy = 5.5e4
    ideal_gas_constant = 8.314
  []
  [char_reaction]
    type = AvramiErofeevNucleation
    conversion_degree = 'crystallinity'
    reaction_rate = 'crystallinity_rate'
    coef = 'char_coefficient'
    order = 0.6
  []
  [integrate_crystallinity]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'crystallinity'
  []
  [char_residual]
    type = ComposedModel
    models = 'char_reaction integrate_crystallinity'
  []
  [char_predictor]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'crystallinity'
  []
  [char]
    type = ImplicitUpdate
    equation_system = 'char_system'
    solver = 'newton'
    predictor = 'char_predictor'
  []
  # --- masses, volume, strains
  [binder_fraction]
    type = ScalarLinearCombination
    from = 'conversion'
    weights = '-0.4'
    offset = 0.4
    to = 'binder_fraction'
  []
  [char_fraction]
    type = ScalarLinearCombination
    from = 'conversion'
    weights = '0.22'
    to = 'char_fraction'
  []
  [filler_fraction]
    type = ScalarConstantParameter
    value = 0.6
    parameter = 'filler_fraction'
  []
  [open_fraction]
    type = ScalarLinearCombination
    from = 'conversion'
    weights = '0.1'
    to = 'open_fraction'
  []
  [volume]
    type = EffectiveVolume
    open_volume_fraction = 'open_fraction'
    mass_fractions = 'binder_fraction char_fraction filler_fraction'
    composite_volume = 'volume'
    reference_mass = 1
    densities = '1.2e-3 1.9e-3 3.2e-3'
  []
  [volume_strain]
    type = VolumeChangeEigenstrain
    volume = 'volume'
    eigenstrain = 'volume_strain'
    reference_volume = 520.83333
  []
  [phase_strain]
    type = PhaseTransformationEigenstrain
    phase_fraction = 'crystallinity'
    volume_fraction_change = -0.03
    eigenstrain = 'phase_strain'
  []
  [free_strain]
    type = SR2LinearCombination
    from = 'volume_strain phase_strain'
    to = 'free_strain'
  []
  [model]
    type = ComposedModel
    models = 'binder char binder_fraction char_fraction filler_fraction open_fraction
              volume volume_strain phase_strain free_strain'
    additional_outputs = 'conversion crystallinity volume'
  []
[]

[EquationSystems]
  [binder_system]
    type = NonlinearSystem
    model = 'binder_residual'
    unknowns = 'conversion'
  []
  [char_system]
    type = NonlinearSystem
    model = 'char_residual'
    unknowns = 'crystallinity'
  []
[]

[Solvers]
  [newton_with_search]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    linesearch_type = 'STRONG_WOLFE'
    max_linesearch_iterations = 10
    linesearch_cutback = 2.5
    abs_tol = 1e-11
    rel_tol = 1e-11
    max_its = 100
  []
  [newton]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-11
    rel_tol = 1e-10
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
    prescribed_Scalar_names = 'temperature'
    prescribed_Scalar_values = 'temperatures'
    ic_Scalar_names = 'crystallinity'
    ic_Scalar_values = 'seeds'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
