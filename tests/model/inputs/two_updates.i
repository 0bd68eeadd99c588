# Two solves in a row, each under its own settings: the second, much looser, takes the solution of the first for its
# load. No physics.
#
#   root + root^2 = load
#   next + next^2 = root

[Models]
  [root_again]
    type = ScalarLinearCombination
    from = 'root'
    weights = '1'
    to = 'root_again'
  []
  [root_square]
    type = ScalarMultiplication
    from = 'root root_again'
    to = 'root_square'
  []
  [root_balance]
    type = ScalarLinearCombination
    from = 'root root_square load'
    weights = '1 1 -1'
    to = 'root_residual'
  []
  [root_equation]
    type = ComposedModel
    models = 'root_again root_square root_balance'
  []
  [first]
    type = ImplicitUpdate
    equation_system = 'root_system'
    solver = 'tight'
  []
  [next_again]
    type = ScalarLinearCombination
    from = 'next'
    weights = '1'
    to = 'next_again'
  []
  [next_square]
    type = ScalarMultiplication
    from = 'next next_again'
    to = 'next_square'
  []
  [next_balance]
    type = ScalarLinearCombination
    from = 'next next_square root'
    weights = '1 1 -1'
    to = 'next_residual'
  []
  [next_equation]
    type = ComposedModel
    models = 'next_again next_square next_balance'
  []
  [second]
    type = ImplicitUpdate
    equation_system = 'next_system'
    solver = 'loose'
  []
  [model]
    type = ComposedModel
    models = 'first second'
    additional_outputs = 'root'
  []
[]

[EquationSystems]
  [root_system]
    type = NonlinearSystem
    model = 'root_equation'
    unknowns = 'root'
    residuals = 'root_residual'
  []
  [next_system]
    type = NonlinearSystem
    model = 'next_equation'
    unknowns = 'next'
    residuals = 'next_residual'
  []
[]

[Solvers]
  [tight]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    abs_tol = 1e-12
    rel_tol = 1e-12
    max_its = 30
    max_linesearch_iterations = 4
  []
  [loose]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-3
    rel_tol = 1e-2
    max_its = 7
  []
  [lu]
    type = DenseLU
  []
[]
