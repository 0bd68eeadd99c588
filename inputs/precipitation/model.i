# Precipitation of two phases from one supersaturated matrix (Kampmann and Wagner): each population is a size
# distribution over six bins (a sub-batch axis) that nucleation fills and growth carries to larger radii; both draw
# solute from the matrix, whose driving force falls as they do. The first grows by the flux-balance rate of Svoboda and
# others and nucleates in its smallest bin, the second grows by diffusion-limited transport and nucleates around its
# critical radius. Units: nm, s, J, mol, K.

[Settings]
  [example_batch_shape]
    population_1 = '(2; 6)'
    population_2 = '(2; 6)'
  []
[]

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 20.0, 100.0, 300.0, 700.0, 1500.0]))'
  []
  [temperatures]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 6)[:, None] * torch.tensor([0.0, -40.0, 60.0])
                   + torch.tensor([700.0, 720.0, 640.0]))'
  []
  # neml2-compile evaluates this in single precision unless told otherwise.
  [edges]
    type = Python
    expr = 'Scalar(torch.linspace(0.3, 6.3, 7, dtype=torch.float64), sub_batch_ndim=1)'
  []
  [inner_edges]
    type = Python
    expr = 'Scalar(edges.data[1:-1], sub_batch_ndim=1)'
  []
  [radii]
    type = Python
    expr = 'Scalar(0.5 * (edges.data[1:] + edges.data[:-1]), sub_batch_ndim=1)'
  []
  [initial_1]
    type = Python
    expr = 'Scalar(1e-4 * torch.tensor([[2.0, 1.0, 0.5, 0.0, 0.0, 0.0], [0.0] * 6,
                                  [1.0, 4.0, 2.0, 1.0, 0.0, 0.0]]), sub_batch_ndim=1)'
  []
  [initial_2]
    type = Python
    expr = 'Scalar(1e-4 * torch.tensor([[0.0] * 6, [1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0] * 6]), sub_batch_ndim=1)'
  []
[]

[Models]
  # --- what is left in the matrix
  [fraction_1]
    type = PrecipitateVolumeFraction
    number_density = 'population_1'
    volume_fraction = 'fraction_1'
    radius = 'radii'
  []
  [fraction_2]
    type = PrecipitateVolumeFraction
    number_density = 'population_2'
    volume_fraction = 'fraction_2'
    radius = 'radii'
  []
  [concentration]
    type = CurrentConcentration
    precipitate_volume_fractions = 'fraction_1 fraction_2'
    current_concentration = 'concentration'
    initial_concentration = 0.08
    precipitate_concentrations = '0.25 0.4'
  []
  [supersaturation]
    type = ScalarLinearCombination
    from = 'concentration'
    offset = -0.02
    to = 'supersaturation'
  []
  # --- driving forces, and the nucleation that they allow
  [driving_force]
    type = IdealSolutionVolumetricDrivingForce
    temperature = 'temperature'
    current_concentrations = 'concentration'
    driving_force = 'driving_force'
    gas_constant = 8.314
    equilibrium_concentrations = '0.02'
  []
  [growth_force]
    type = ChemicalGibbsFreeEnergyDifference
    concentration_differences = 'supersaturation'
    chemical_gibbs_free_energy = 'growth_force'
    chemical_potentials = '1.1e5'
    equilibrium_potentials = '-2.0e4'
  []
  [barrier]
    type = NucleationBarrierAndCriticalRadius
    nucleation_barrier = 'barrier'
    critical_radius = 'critical_radius'
    surface_energy = 8e-20
    total_gibbs_free_energy_difference = 'driving_force'
    molar_volume = 2e22
  []
  [diffusivity_sum]
    type = ProjectedDiffusivitySum
    far_field_concentrations = 'concentration'
    projected_diffusivity_sum = 'diffusivity_sum'
    concentration_differences = '0.23'
    diffusivities = '2e-3'
  []
  [zeldovich]
    type = ZeldovichFactor
    critical_radius = 'critical_radius'
    temperature = 'temperature'
    zeldovich_factor = 'zeldovich'
    surface_energy = 8e-20
    molar_volume = 2e22
    avogadro_number = 6.02214e23
    boltzmann_constant = 1.380649e-23
  []
  [kinetic_factor]
    type = KineticFactor
    critical_radius = 'critical_radius'
    projected_diffusivity_sum = 'diffusivity_sum'
    kinetic_factor = 'kinetic_factor'
    molar_volume = 2e22
    avogadro_number = 6.02214e23
  []
  [nucleation]
    type = NucleationFluxMagnitude
    zeldovich_factor = 'zeldovich'
    kinetic_factor = 'kinetic_factor'
    nucleation_barrier = 'barrier'
    temperature = 'temperature'
    nucleation_flux_magnitude = 'nucleation'
    nucleation_site_density = 1e-3
    boltzmann_constant = 1.380649e-23
  []
  # --- first population
  [growth_1]
    type = SFFKPrecipitationGrowthRate
    projected_diffusivity_sum = 'diffusivity_sum'
    temperature = 'temperature'
    growth_rate = 'growth_1'
    radius = 'inner_edges'
    gibbs_free_energy_difference = 'growth_force'
    gas_constant = 8.314
  []
  [flux_1]
    type = FiniteVolumeUpwindedAdvectiveFlux
    u = 'population_1'
    v_edge = 'growth_1'
    flux = 'flux_1'
  []
  [flux_1_left]
    type = FiniteVolumeAppendBoundaryCondition
    input = 'flux_1'
    side = 'left'
    bc_value = 0
    output = 'flux_1_left'
  []
  [flux_1_closed]
    type = FiniteVolumeAppendBoundaryCondition
    input = 'flux_1_left'
    side = 'right'
    bc_value = 0
    output = 'flux_1_closed'
  []
  [transport_1]
    type = FiniteVolumeGradient
    u = 'flux_1_closed'
    grad_u = 'transport_1'
    dx = 1
  []
  [source_1]
    type = DumpInSmallestBin
    magnitude = 'nucleation'
    cell_centers = 'radii'
    dumped_source = 'source_1'
  []
  [rate_1]
    type = ScalarLinearCombination
    from = 'transport_1 source_1'
    to = 'population_1_rate'
  []
  [integrate_1]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'population_1'
  []
  # --- second population
  [growth_2]
    type = RateLimitedPrecipitateGrowthRate
    current_concentration = 'concentration'
    growth_rate = 'growth_2'
    radius = 'inner_edges'
    equilibrium_concentration = 0.02
    concentration_difference = 0.38
    diffusivity = 0.02
  []
  [flux_2]
    type = FiniteVolumeUpwindedAdvectiveFlux
    u = 'population_2'
    v_edge = 'growth_2'
    flux = 'flux_2'
  []
  [flux_2_left]
    type = FiniteVolumeAppendBoundaryCondition
    input = 'flux_2'
    side = 'left'
    bc_value = 0
    output = 'flux_2_left'
  []
  [flux_2_closed]
    type = FiniteVolumeAppendBoundaryCondition
    input = 'flux_2_left'
    side = 'right'
    bc_value = 0
    output = 'flux_2_closed'
  []
  [transport_2]
    type = FiniteVolumeGradient
    u = 'flux_2_closed'
    grad_u = 'transport_2'
    dx = 1
  []
  [source_2]
    type = SmearedDeltaSource
    magnitude = 'nucleation'
    location = 'critical_radius'
    smeared_source = 'source_2'
    width = 0.5
    cell_centers = 'radii'
  []
  [rate_2]
    type = ScalarLinearCombination
    from = 'transport_2 source_2'
    weights = '1 0.3'
    to = 'population_2_rate'
  []
  [integrate_2]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'population_2'
  []
  [residual]
    type = ComposedModel
    models = 'fraction_1 fraction_2 concentration supersaturation driving_force growth_force barrier diffusivity_sum
              zeldovich kinetic_factor nucleation
              growth_1 flux_1 flux_1_left flux_1_closed transport_1 source_1 rate_1 integrate_1
              growth_2 flux_2 flux_2_left flux_2_closed transport_2 source_2 rate_2 integrate_2'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'population_1 population_2'
  []
  [model]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'population_1 population_2'
  []
[]

[Solvers]
  [newton]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    max_linesearch_iterations = 5
    abs_tol = 1e-14
    rel_tol = 1e-11
    max_its = 50
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
    ic_Scalar_names = 'population_1 population_2'
    ic_Scalar_values = 'initial_1 initial_2'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
