# Linear isotropic elasticity at small strain: stress = 3 K vol(strain) + 2 G dev(strain).
# The stress follows the strain alone; there is no history, so the model is one forward segment.
# Units: MPa.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 5))'
  []
  # Largest strain of each of four points: two uniaxial, one pure shear, one volumetric.
  [amplitudes]
    type = Python
    expr = '1e-3 * torch.tensor([[1.0, -0.3, -0.3, 0.0, 0.0, 0.0],
                                 [0.0, -2.0, 0.6, 0.0, 0.0, 0.0],
                                 [0.0, 0.0, 0.0, 0.5, -0.7, 1.1],
                                 [0.4, 0.4, 0.4, 0.0, 0.0, 0.0]])'
  []
  [strains]
    type = Python
    expr = 'SR2(torch.linspace(0.0, 1.0, 5)[:, None, None] * amplitudes)'
  []
  [strains_of_one_point]
    type = Python
    expr = 'SR2(torch.linspace(0.0, 1.0, 5)[:, None] * amplitudes[0])'
  []
[]

[Models]
  [model]
    type = LinearIsotropicElasticity
    strain = 'strain'
    stress = 'stress'
    coefficients = '2.0e5 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'strain'
    prescribed_SR2_values = 'strains'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []

  # The same without any batch axis.
  [driver_unbatched]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'strain'
    prescribed_SR2_values = 'strains_of_one_point'
  []
  [regression_unbatched]
    type = TransientRegression
    driver = 'driver_unbatched'
    reference = 'gold/result_unbatched.pt'
  []
[]
