# A native material around the model 'flow', and its loading. The including file provides 'flow', and how many 'cycles'
# there are in how many 'steps'.
# Elasticity comes before the flow rule and backward Euler after it, solved for the plastic strain. The loading is
# thermomechanical fatigue: isochoric strain cycles of 100 s, the temperature in phase, out of phase and constant.
# Units: MPa, s, K.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, ${cycles} * 100.0, ${steps} + 1))'
  []
  # A triangle wave between -1 and 1 that starts at zero.
  [wave]
    type = Python
    expr = '1.0 - 4.0 * torch.abs((torch.linspace(0.0, ${cycles} * 1.0, ${steps} + 1) + 0.25) % 1.0 - 0.5)'
  []
  [strains]
    type = Python
    expr = 'SR2(5e-3 * wave[:, None, None] * torch.tensor([1.0, -0.5, -0.5, 0.0, 0.0, 0.0]).expand(3, 6))'
  []
  [temperatures]
    type = Python
    expr = 'Scalar(700.0 + 250.0 * wave[:, None] * torch.tensor([1.0, -1.0, 0.0]))'
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
    coefficients = '1.7e5 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [integrate_plastic_strain]
    type = SR2BackwardEulerTimeIntegration
    variable = 'plastic_strain'
  []
  [integrate_equivalent_plastic_strain]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'equivalent_plastic_strain'
  []
  [residual]
    type = ComposedModel
    models = 'elastic_strain elasticity flow integrate_plastic_strain integrate_equivalent_plastic_strain'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'plastic_strain'
    unknowns_Scalar = 'equivalent_plastic_strain'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model]
    type = ComposedModel
    models = 'update elastic_strain elasticity'
    additional_outputs = 'plastic_strain equivalent_plastic_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'plastic_strain equivalent_plastic_strain'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-12
    rel_tol = 1e-10
    max_its = 50
  []
  [lu]
    type = DenseLU
  []
[]
