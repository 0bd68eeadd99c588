# Reactive infiltration: a liquid fills cylindrical pores and turns the solid around them into a product, by diffusion
# through the product that has already formed. Reactivities fade smoothly as the liquid or the solid runs out. The
# solid and product fractions are unknowns; the liquid fraction is prescribed. Units: mol, m, s, scaled.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 70.0, 8))'
  []
  [liquid_fractions]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 8)[:, None] * torch.tensor([0.3, 0.1, 0.6]))'
  []
  [initial_solid]
    type = Python
    expr = 'Scalar(torch.tensor([0.45, 0.3, 0.02]))'
  []
[]

[Models]
  [geometry]
    type = CylindricalChannelGeometry
    solid_fraction = 'solid_fraction'
    product_fraction = 'product_fraction'
    inner_radius = 'inner_radius'
    outer_radius = 'outer_radius'
  []
  [liquid_reactivity]
    type = HermiteSmoothStep
    argument = 'liquid_fraction'
    value = 'liquid_reactivity'
    lower_bound = 0
    upper_bound = 0.1
  []
  [solid_reactivity]
    type = HermiteSmoothStep
    argument = 'solid_fraction'
    value = 'solid_reactivity'
    lower_bound = 0
    upper_bound = 0.15
  []
  [bell]
    type = SymmetricHermiteInterpolation
    argument = 'solid_fraction'
    output = 'bell'
    lower_bound = 0
    upper_bound = 0.6
  []
  [reaction]
    type = DiffusionLimitedReaction
    product_inner_radius = 'inner_radius'
    solid_inner_radius = 'outer_radius'
    liquid_reactivity = 'liquid_reactivity'
    solid_reactivity = 'solid_reactivity'
    reaction_rate = 'reaction_rate'
    diffusion_coefficient = 6e-4
    molar_volume = 1.2
    product_dummy_thickness = 0.05
  []
  [solid_rate]
    type = ScalarLinearCombination
    from = 'reaction_rate'
    weights = '-0.5'
    to = 'solid_fraction_rate'
  []
  [product_rate]
    type = ScalarLinearCombination
    from = 'reaction_rate'
    weights = '0.7'
    to = 'product_fraction_rate'
  []
  [integrate_solid]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'solid_fraction'
  []
  [integrate_product]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'product_fraction'
  []
  [residual]
    type = ComposedModel
    models = 'geometry liquid_reactivity solid_reactivity reaction solid_rate product_rate
              integrate_solid integrate_product'
  []
  [predictor]
    type = ConstantExtrapolationPredictor
    unknowns_Scalar = 'solid_fraction product_fraction'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model]
    type = ComposedModel
    models = 'update geometry bell'
    additional_outputs = 'solid_fraction product_fraction'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'solid_fraction product_fraction'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-12
    rel_tol = 1e-11
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
    prescribed_Scalar_names = 'liquid_fraction'
    prescribed_Scalar_values = 'liquid_fractions'
    ic_Scalar_names = 'solid_fraction'
    ic_Scalar_values = 'initial_solid'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
