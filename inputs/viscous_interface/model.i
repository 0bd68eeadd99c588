# Interface that slips like a viscous fluid under an elastic traction (a Maxwell element in three directions): the
# traction grows with the rate of the jump that is not slip. The traction is the unknown, one vector per point; each
# Newton step is a GMRES solve preconditioned by the diagonal, which is kept as long as it serves well.
# Units: N, mm, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 0.5, 1.0, 3.0, 4.0, 4.5]))'
  []
  [jumps]
    type = Python
    expr = 'Vec(torch.tensor([0.0, 0.5, 1.0, 1.0, 0.2, -0.2])[:, None, None]
                * 1e-2 * torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.9, -0.4], [-0.5, 0.0, 0.6]]))'
  []
[]

[Models]
  [jump_rate]
    type = VecVariableRate
    variable = 'jump'
  []
  [jump_rates]
    type = VecComponents
    from = 'jump_rate'
    to = 'normal_rate rate_1 rate_2'
  []
  [tractions]
    type = VecComponents
    from = 'traction'
    to = 'normal_traction traction_1 traction_2'
  []
  [elastic_normal_rate]
    type = ScalarLinearCombination
    from = 'normal_rate normal_traction'
    weights = '1 -2e-5'
    to = 'elastic_normal_rate'
  []
  # Slip in one direction drags the other along.
  [elastic_rate_1]
    type = ScalarLinearCombination
    from = 'rate_1 traction_1 traction_2'
    weights = '1 -1e-4 -3e-5'
    to = 'elastic_rate_1'
  []
  [elastic_rate_2]
    type = ScalarLinearCombination
    from = 'rate_2 traction_2 traction_1'
    weights = '1 -2e-4 -3e-5'
    to = 'elastic_rate_2'
  []
  [traction_rate]
    type = OrthotropicLinearTraction
    normal_separation = 'elastic_normal_rate'
    tangential_separation_1 = 'elastic_rate_1'
    tangential_separation_2 = 'elastic_rate_2'
    traction = 'traction_rate'
    normal_stiffness = 9000
    tangential_stiffness = 4000
  []
  [integrate_traction]
    type = VecBackwardEulerTimeIntegration
    variable = 'traction'
  []
  [residual]
    type = ComposedModel
    models = 'jump_rate jump_rates tractions elastic_normal_rate elastic_rate_1 elastic_rate_2 traction_rate
              integrate_traction'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
  []
  [model]
    type = ComposedModel
    models = 'update tractions'
    additional_outputs = 'traction'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'traction'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'gmres'
    abs_tol = 1e-10
    rel_tol = 1e-11
    max_its = 30
  []
  [gmres]
    type = GMRES
    restart = 3
    max_its = 30
    rel_tol = 1e-7
    preconditioner = 'jacobi'
    cache_strategy = 'max_its'
    cache_max_its = 2
  []
  [jacobi]
    type = JacobiPreconditioner
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_Vec_names = 'jump'
    prescribed_Vec_values = 'jumps'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
