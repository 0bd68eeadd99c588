# Three sites under one load that they share, solved together with it: the unknown of the sites is a block group,
# those of the load a dense group, and a Schur complement solves both. No physics.
#
#   site + load / 5              = share        at every site
#   load + mean(site) / 4        = total
#   size + size trace(load) / 10 = trace(load)

[Models]
  [site_balance]
    type = SR2LinearCombination
    from = 'site load share'
    weights = '1 0.2 -1'
    to = 'site_residual'
  []
  [mean_site]
    type = SR2IntermediateMean
    from = 'site'
    to = 'mean_site'
    reduces = 'site'
  []
  [load_balance]
    type = SR2LinearCombination
    from = 'load mean_site total'
    weights = '1 0.25 -1'
    to = 'load_residual'
  []
  [trace]
    type = SR2Invariant
    invariant_type = 'I1'
    tensor = 'load'
    invariant = 'trace'
  []
  [product]
    type = ScalarMultiplication
    from = 'size trace'
    to = 'product'
  []
  [size_balance]
    type = ScalarLinearCombination
    from = 'size product trace'
    weights = '1 0.1 -1'
    to = 'size_residual'
  []
  [residual]
    type = ComposedModel
    models = 'site_balance mean_site load_balance trace product size_balance'
  []
  [model]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'site; load size'
    residuals = 'site_residual; load_residual size_residual'
    structure = 'block dense'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'schur'
    abs_tol = 1e-12
    rel_tol = 1e-12
    max_its = 25
  []
  [schur]
    type = SchurComplement
    primary_solver = 'lu'
    schur_solver = 'lu'
  []
  [lu]
    type = DenseLU
  []
[]
