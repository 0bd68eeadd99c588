# Cubic elasticity of rotated crystals whose constants follow the temperature: Young's modulus and the shear modulus
# are read from tables (linear between the knots, and beyond the last ones), Poisson's ratio is a constant. The
# stiffness is built from them, turned into the crystal's frame and applied to the strain less its thermal part.
# Everything is one forward segment. Units: MPa, K.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 6))'
  []
  # From below the first knot of the tables to beyond the last.
  [temperatures]
    type = Python
    expr = 'Scalar(torch.tensor([280.0, 300.0, 420.0, 555.0, 700.0, 910.0])[:, None]
                   + torch.tensor([0.0, 15.0, -30.0]))'
  []
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                                 [0.5, -0.2, 0.1, 0.8, 0.0, -0.4],
                                 [0.0, 0.0, 0.0, 0.0, 1.2, 0.3]])'
  []
  [strains]
    type = Python
    expr = 'SR2(torch.linspace(0.0, 1.0, 6)[:, None, None] * amplitudes)'
  []
  [orientations]
    type = Python
    expr = 'MRP(torch.tensor([[0.0, 0.0, 0.0], [0.12, -0.3, 0.2], [-0.4, 0.05, 0.1]]).repeat(6, 1, 1))'
  []
  # neml2-compile evaluates this in single precision unless told otherwise.
  [knots]
    type = Python
    expr = 'Scalar(torch.tensor([293.0, 473.0, 673.0, 873.0], dtype=torch.float64))'
  []
  [youngs_moduli]
    type = Python
    expr = 'Scalar(torch.tensor([1.30e5, 1.22e5, 1.10e5, 0.93e5], dtype=torch.float64))'
  []
  [shear_moduli]
    type = Python
    expr = 'Scalar(torch.tensor([7.6e4, 7.2e4, 6.7e4, 6.1e4], dtype=torch.float64))'
  []
[]

[Models]
  [youngs_modulus]
    type = ScalarLinearInterpolation
    argument = 'temperature'
    abscissa = 'knots'
    ordinate = 'youngs_moduli'
  []
  [shear_modulus]
    type = ScalarLinearInterpolation
    argument = 'temperature'
    abscissa = 'knots'
    ordinate = 'shear_moduli'
  []
  [stiffness]
    type = CubicElasticityTensor
    coefficients = 'youngs_modulus 0.36 shear_modulus'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO SHEAR_MODULUS'
  []
  [thermal_strain]
    type = ThermalEigenstrain
    temperature = 'temperature'
    eigenstrain = 'thermal_strain'
    reference_temperature = 293
    CTE = 1.6e-5
  []
  [elastic_strain]
    type = SR2LinearCombination
    from = 'strain thermal_strain'
    weights = '1 -1'
    to = 'elastic_strain'
  []
  [elasticity]
    type = GeneralElasticity
    strain = 'elastic_strain'
    orientation = 'orientation'
    stress = 'stress'
    elastic_stiffness_tensor = 'stiffness'
  []
  [model]
    type = ComposedModel
    models = 'thermal_strain elastic_strain elasticity'
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'strain'
    prescribed_SR2_values = 'strains'
    prescribed_Scalar_names = 'temperature'
    prescribed_Scalar_values = 'temperatures'
    prescribed_MRP_names = 'orientation'
    prescribed_MRP_values = 'orientations'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
