# Advection and diffusion of a concentration along a line of eight cells (finite volumes, a sub-batch axis), by backward
# Euler: upwind fluxes with a velocity interpolated from cell centres to edges, diffusion with the gradient between
# centres, closed ends, one source in the first cell and one smeared around a point that moves. Units: m, s.

[Settings]
  [example_batch_shape]
    concentration = '(2; 8)'
  []
[]

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 3.0, 7))'
  []
  # neml2-compile evaluates this in single precision unless told otherwise.
  [edges]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 0.5, 1.0, 1.5, 2.1, 2.7, 3.3, 4.1, 4.9], dtype=torch.float64), sub_batch_ndim=1)'
  []
  [centres]
    type = Python
    expr = 'Scalar(0.5 * (edges.data[1:] + edges.data[:-1]), sub_batch_ndim=1)'
  []
  [widths]
    type = Python
    expr = 'Scalar(edges.data[1:] - edges.data[:-1], sub_batch_ndim=1)'
  []
  [distances]
    type = Python
    expr = 'Scalar(centres.data[1:] - centres.data[:-1], sub_batch_ndim=1)'
  []
  # The flow turns round within the line.
  [velocities]
    type = Python
    expr = 'Scalar(torch.tensor([0.6, 0.6, 0.5, 0.3, 0.1, -0.1, -0.2, -0.2], dtype=torch.float64), sub_batch_ndim=1)'
  []
  [feeds]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 1.0, 1.0, 0.5, 0.0, 0.0, 0.0])[:, None] * torch.tensor([1.0, 0.2, 0.0]))'
  []
  [strengths]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 0.3, 0.8]).repeat(7, 1))'
  []
  [positions]
    type = Python
    expr = 'Scalar(1.0 + torch.linspace(0.0, 2.5, 7)[:, None] + torch.tensor([0.0, 0.3, -0.4]))'
  []
  [initial]
    type = Python
    expr = 'Scalar(torch.exp(-(centres.data - 2.0) ** 2) * torch.tensor([[1.0], [0.5], [0.0]]), sub_batch_ndim=1)'
  []
[]

[Models]
  # --- fluxes through the inner edges
  [edge_velocity]
    type = LinearlyInterpolateToCellEdges
    cell_values = 'velocities'
    cell_centers = 'centres'
    cell_edges = 'edges'
    edge_values = 'edge_velocity'
  []
  [advective_flux]
    type = FiniteVolumeUpwindedAdvectiveFlux
    u = 'concentration'
    v_edge = 'edge_velocity'
    flux = 'advective_flux'
  []
  [diffusive_flux]
    type = FiniteVolumeGradient
    u = 'concentration'
    grad_u = 'diffusive_flux'
    dx = 'distances'
    prefactor = 0.15
  []
  [inner_flux]
    type = ScalarLinearCombination
    from = 'advective_flux diffusive_flux'
    to = 'inner_flux'
  []
  # --- closed ends
  [flux_with_left_end]
    type = FiniteVolumeAppendBoundaryCondition
    input = 'inner_flux'
    side = 'left'
    bc_value = 0
    output = 'flux_with_left_end'
  []
  [flux]
    type = FiniteVolumeAppendBoundaryCondition
    input = 'flux_with_left_end'
    side = 'right'
    bc_value = 0
    output = 'flux'
  []
  [inflow]
    type = FiniteVolumeGradient
    u = 'flux'
    grad_u = 'inflow'
    dx = 'widths'
  []
  # --- sources
  [feed_in_first_cell]
    type = DumpInSmallestBin
    magnitude = 'feed'
    cell_centers = 'centres'
    dumped_source = 'feed_in_first_cell'
  []
  [smeared_source]
    type = SmearedDeltaSource
    magnitude = 'strength'
    location = 'position'
    smeared_source = 'smeared_source'
    width = 0.4
    cell_centers = 'centres'
  []
  [rate]
    type = ScalarLinearCombination
    from = 'inflow feed_in_first_cell smeared_source'
    to = 'concentration_rate'
  []
  [integrate]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'concentration'
  []
  [residual]
    type = ComposedModel
    models = 'edge_velocity advective_flux diffusive_flux inner_flux flux_with_left_end flux inflow
              feed_in_first_cell smeared_source rate integrate'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'concentration'
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
    unknowns = 'concentration'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-12
    rel_tol = 1e-11
    max_its = 10
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
    prescribed_Scalar_names = 'feed strength position'
    prescribed_Scalar_values = 'feeds strengths positions'
    ic_Scalar_names = 'concentration'
    ic_Scalar_values = 'initial'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
