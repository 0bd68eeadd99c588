# Linear elasticity at five sites of a point, each with a strain of its own. Consistent units.

[Settings]
  [example_batch_shape]
    strain = '(2; 5)'
  []
[]

[Models]
  [model]
    type = LinearIsotropicElasticity
    coefficients = '100.0 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'strain'
    stress = 'stress'
  []
[]
