# Elasticity with tabulated properties: stiffness, a transformation strain and a surface traction are read from tables
# over temperature and composition (bilinear between the knots). Properties reach the models that use them in every
# way there is: a model's output, an input that serves as a parameter, a constant, a variable made of a parameter.
# The strain is the average over layers (a sub-batch axis). Units: MPa, K.

[Settings]
  [example_batch_shape]
    layer_strain = '(2; 3)'
  []
[]

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 4.0, 5))'
  []
  [temperatures]
    type = Python
    expr = 'Scalar(torch.tensor([310.0, 380.0, 500.0, 640.0, 700.0])[:, None] + torch.tensor([0.0, -40.0]))'
  []
  [compositions]
    type = Python
    expr = 'Scalar(torch.tensor([0.05, 0.2, 0.45, 0.7, 0.95])[:, None] * torch.tensor([1.0, 0.6]))'
  []
  [ratios]
    type = Python
    expr = 'Scalar(torch.tensor([0.28, 0.31]).repeat(5, 1))'
  []
  # Three layers of each point.
  [layer_strains]
    type = Python
    expr = 'SR2(torch.linspace(0.0, 1.0, 5)[:, None, None, None]
                * 1e-3 * torch.tensor([[[1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                                        [0.8, 0.1, -0.2, 0.0, 0.5, 0.0],
                                        [0.2, 0.0, 0.0, 0.0, 0.0, -0.9]],
                                       [[0.0, 0.6, 0.0, 0.4, 0.0, 0.0],
                                        [0.0, -0.3, 0.0, 0.0, 0.0, 0.1],
                                        [0.5, 0.5, -0.5, 0.0, 0.2, 0.0]]]), sub_batch_ndim=1)'
  []
  # neml2-compile evaluates these in single precision unless told otherwise.
  [temperature_knots]
    type = Python
    expr = 'Scalar(torch.tensor([300.0, 450.0, 600.0], dtype=torch.float64))'
  []
  [composition_knots]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 0.3, 0.6, 1.0], dtype=torch.float64))'
  []
  [moduli]
    type = Python
    expr = 'Scalar(1e3 * torch.tensor([[210.0, 205.0, 190.0, 170.0],
                                       [200.0, 198.0, 186.0, 163.0],
                                       [185.0, 180.0, 171.0, 150.0]], dtype=torch.float64))'
  []
  [transformation_strains]
    type = Python
    expr = 'SR2(1e-4 * torch.arange(12, dtype=torch.float64).reshape(3, 4, 1)
                * torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0, 0.3], dtype=torch.float64))'
  []
  [tractions]
    type = Python
    expr = 'Vec(torch.arange(36, dtype=torch.float64).reshape(3, 4, 3) ** 1.5)'
  []
  [residual_strain]
    type = Python
    expr = 'SR2(1e-4 * torch.tensor([0.3, -0.1, 0.2, 0.0, 0.4, 0.0], dtype=torch.float64))'
  []
[]

[Models]
  # --- tables
  [modulus]
    type = ScalarBilinearInterpolation
    argument1 = 'temperature'
    argument2 = 'composition'
    abscissa1 = 'temperature_knots'
    abscissa2 = 'composition_knots'
    ordinate = 'moduli'
  []
  [transformation_strain]
    type = SR2BilinearInterpolation
    argument1 = 'temperature'
    argument2 = 'composition'
    abscissa1 = 'temperature_knots'
    abscissa2 = 'composition_knots'
    ordinate = 'transformation_strains'
  []
  [traction]
    type = VecBilinearInterpolation
    argument1 = 'temperature'
    argument2 = 'composition'
    abscissa1 = 'temperature_knots'
    abscissa2 = 'composition_knots'
    ordinate = 'tractions'
  []
  # --- parameters from elsewhere
  [poissons_ratio]
    type = ScalarInputParameter
    variable = 'ratio'
    parameter = 'poissons_ratio'
  []
  [residual]
    type = SR2ConstantParameter
    value = 'residual_strain'
    parameter = 'residual'
  []
  [reported_modulus]
    type = ScalarParameterToVariable
    from = 'modulus'
    to = 'reported_modulus'
  []
  [kept_traction]
    type = CopyVec
    from = 'traction'
    to = 'kept_traction'
  []
  # --- strain of the whole
  [mean_strain]
    type = SR2IntermediateMean
    from = 'layer_strain'
    to = 'mean_strain'
    reduces = 'layer'
  []
  [summed_strain]
    type = SR2IntermediateSum
    from = 'layer_strain'
    to = 'summed_strain'
    reduces = 'layer'
  []
  [elastic_strain]
    type = SR2LinearCombination
    from = 'mean_strain transformation_strain residual'
    weights = '1 -1 -1'
    to = 'elastic_strain'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'elastic_strain'
    stress = 'stress'
    coefficients = 'modulus poissons_ratio'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [stress_trace]
    type = SR2Invariant
    invariant_type = 'I1'
    tensor = 'stress'
    invariant = 'stress_trace'
  []
  [hydrostatic]
    type = ScalarToDiagonalSR2
    input = 'stress_trace'
    output = 'hydrostatic'
  []
  [determinant]
    type = SR2Determinant
    input = 'stress'
    determinant = 'determinant'
  []
  [bounded_temperature]
    type = SemiInfiniteCoordinateTransform
    coordinate = 'temperature'
    transformed_coordinate = 'bounded_temperature'
    shift = 500
  []
  [model]
    type = ComposedModel
    models = 'modulus transformation_strain traction poissons_ratio residual reported_modulus kept_traction
              mean_strain summed_strain elastic_strain elasticity stress_trace hydrostatic determinant
              bounded_temperature'
    additional_outputs = 'stress'
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'layer_strain'
    prescribed_SR2_values = 'layer_strains'
    prescribed_Scalar_names = 'temperature composition ratio'
    prescribed_Scalar_values = 'temperatures compositions ratios'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
