# Flow and swelling of a partly molten porous body: the saturation of its pores gives the capillary pressure (van
# Genuchten, and Brooks and Corey with a logarithmic tail), the porosity left to the fluid gives the permeability by
# three relations, and the deformation less its thermal and swelling parts gives the stress and the advective stress
# that it exerts on the fluid. No history. Units: MPa, m, K.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 6))'
  []
  [ramp]
    type = Python
    expr = 'torch.linspace(0.0, 1.0, 6)'
  []
  # The third point falls below the saturation where the logarithmic tails begin.
  [fluid_fractions]
    type = Python
    expr = 'Scalar(torch.tensor([0.20, 0.12, 0.05]) + ramp[:, None] * torch.tensor([0.08, -0.04, -0.025]))'
  []
  [melt_fractions]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 0.5, 1.0]) + ramp[:, None] * torch.tensor([0.9, 0.2, -0.6]))'
  []
  [temperatures]
    type = Python
    expr = 'Scalar(1700.0 + ramp[:, None] * torch.tensor([30.0, -20.0, 0.0]))'
  []
  [gradients]
    type = Python
    expr = '1e-2 * torch.tensor([[[1.0, 0.4, 0.0], [0.0, -0.5, 0.0], [0.2, 0.0, 0.3]],
                                 [[0.0, 1.5, 0.0], [0.0, 0.0, 0.0], [0.0, -0.6, 0.0]],
                                 [[-0.8, 0.0, 0.1], [0.0, -0.8, 0.0], [0.0, 0.3, -0.8]]])'
  []
  [deformation_gradients]
    type = Python
    expr = 'R2(torch.eye(3) + ramp[:, None, None, None] * gradients)'
  []
[]

[Models]
  # --- capillary pressure
  [saturation]
    type = EffectiveSaturation
    fluid_fraction = 'fluid_fraction'
    effective_saturation = 'saturation'
    residual_saturation = 0.05
    max_fraction = 0.3
  []
  [pressure_vg]
    type = VanGenuchtenCapillaryPressure
    effective_saturation = 'saturation'
    capillary_pressure = 'pressure_vg'
    a = 0.02
    m = 0.6
    log_extension = true
    transition_saturation = 0.1
  []
  [pressure_bc]
    type = BrooksCoreyCapillaryPressure
    effective_saturation = 'saturation'
    capillary_pressure = 'pressure_bc'
    threshold_pressure = 0.01
    exponent = 2.5
    log_extension = true
    transition_saturation = 0.15
  []
  # --- permeability
  [permeability_kc]
    type = KozenyCarmanPermeability
    porosity = 'fluid_fraction'
    permeability = 'permeability_kc'
    reference_permeability = 3e-3
    reference_porosity = 0.2
    n = 2.2
    m = 3.1
  []
  [permeability_exponential]
    type = ExponentialLawPermeability
    porosity = 'fluid_fraction'
    permeability = 'permeability_exponential'
    reference_permeability = 3e-3
    reference_porosity = 0.2
    scale = 12
  []
  [permeability_power]
    type = PowerLawPermeability
    porosity = 'fluid_fraction'
    permeability = 'permeability_power'
    reference_permeability = 3e-3
    reference_porosity = 0.2
    exponent = 2.5
  []
  # --- deformation
  [swelling]
    type = SwellingAndPhaseChangeDeformationJacobian
    phase_fraction = 'melt_fraction'
    fluid_fraction = 'fluid_fraction'
    jacobian = 'swelling'
    swelling_coefficient = 0.05
    reference_volume_difference = 0.08
  []
  [thermal_expansion]
    type = ThermalDeformationJacobian
    temperature = 'temperature'
    jacobian = 'thermal_expansion'
    reference_temperature = 1685
    CTE = 1.2e-5
  []
  [volume]
    type = ScalarMultiplication
    from = 'swelling thermal_expansion'
    to = 'volume'
  []
  [elastic_deformation]
    type = VolumeAdjustDeformationGradient
    input = 'deformation_gradient'
    jacobian = 'volume'
    output = 'elastic_deformation'
  []
  [strain]
    type = GreenLagrangeStrain
    deformation_gradient = 'elastic_deformation'
    strain = 'strain'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'strain'
    stress = 'second_stress'
    coefficients = '1500 0.2'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [full_stress]
    type = SR2ToR2
    input = 'second_stress'
    output = 'full_stress'
  []
  [first_stress]
    type = R2Multiplication
    A = 'deformation_gradient'
    B = 'full_stress'
    to = 'first_stress'
  []
  [determinant]
    type = R2Determinant
    input = 'deformation_gradient'
    determinant = 'determinant'
  []
  [advective_stress]
    type = AdvectiveStress
    js = 'swelling'
    jt = 'thermal_expansion'
    deformation_gradient = 'deformation_gradient'
    pk1_stress = 'first_stress'
    advective_stress = 'advective_stress'
    coefficient = 0.05
  []
  [model]
    type = ComposedModel
    models = 'saturation pressure_vg pressure_bc permeability_kc permeability_exponential permeability_power
              swelling thermal_expansion volume elastic_deformation strain elasticity full_stress first_stress
              determinant advective_stress'
    additional_outputs = 'first_stress saturation'
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_Scalar_names = 'fluid_fraction melt_fraction temperature'
    prescribed_Scalar_values = 'fluid_fractions melt_fractions temperatures'
    prescribed_R2_names = 'deformation_gradient'
    prescribed_R2_values = 'deformation_gradients'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
