# Creep under prescribed stress, integrated explicitly: the viscosity follows the Arrhenius law, a damage-like internal
# stress and a tensorial back strain grow by the creep rate and are annealed in two stages (growth stops above one
# temperature, decay starts above another), and the material frame spins with the applied rate. Units: MPa, s, K.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 10.0, 20.0, 40.0, 60.0, 65.0, 70.0]))'
  []
  # Creep, heat past the first and the second temperature, cool.
  [temperatures]
    type = Python
    expr = 'Scalar(torch.tensor([700.0, 720.0, 800.0, 930.0, 1020.0, 1000.0, 750.0])[:, None] + torch.tensor([0.0, 40.0, -60.0]))'
  []
  [amplitudes]
    type = Python
    expr = 'torch.tensor([[120.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                          [0.0, 60.0, -30.0, 0.0, 45.0, 0.0],
                          [-80.0, -80.0, -80.0, 0.0, 0.0, 20.0]])'
  []
  [stresses]
    type = Python
    expr = 'SR2(torch.tensor([0.0, 1.0, 1.0, 0.8, 0.8, 0.3, 0.0])[:, None, None] * amplitudes)'
  []
  [spins]
    type = Python
    expr = 'WR2(6e-2 * torch.tensor([[0.0, 0.0, 1.0], [0.5, -0.2, 0.0], [0.0, 0.7, 0.3]]).repeat(7, 1, 1))'
  []
[]

[Models]
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'elastic_strain'
    stress = 'stress'
    compliance = true
    coefficients = '1.5e5 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
  [viscosity]
    type = ArrheniusParameter
    temperature = 'temperature'
    reference_value = 4.0
    activation_energy = -90000
    ideal_gas_constant = 8.314
  []
  [creep]
    type = LinearDashpot
    stress = 'stress'
    viscous_strain_rate = 'creep_strain_rate'
    viscosity = 'viscosity'
  []
  [creep_rate]
    type = SR2Invariant
    invariant_type = 'EFFECTIVE_STRAIN'
    tensor = 'creep_strain_rate'
    invariant = 'creep_rate'
  []
  [creep_strain]
    type = SR2ForwardEulerTimeIntegration
    variable = 'creep_strain'
  []
  # --- internal stress: 2e4 MPa per unit of creep, annealed
  [growth]
    type = ScalarLinearCombination
    from = 'creep_rate'
    weights = '2e4'
    to = 'growth'
  []
  [annealed_growth]
    type = ScalarTwoStageThermalAnnealing
    base_rate = 'growth'
    base = 'internal_stress~1'
    temperature = 'temperature'
    modified_rate = 'internal_stress_rate'
    T1 = 850
    T2 = 950
    tau = 30
  []
  [internal_stress]
    type = ScalarForwardEulerTimeIntegration
    variable = 'internal_stress'
  []
  # --- back strain
  [annealed_back_strain]
    type = SR2TwoStageThermalAnnealing
    base_rate = 'creep_strain_rate'
    base = 'back_strain~1'
    temperature = 'temperature'
    modified_rate = 'back_strain_rate'
    T1 = 900
    T2 = 980
    tau = 15
  []
  [back_strain]
    type = SR2ForwardEulerTimeIntegration
    variable = 'back_strain'
  []
  # --- frame
  [frame]
    type = WR2ExplicitExponentialTimeIntegration
    variable = 'frame'
    rate = 'spin'
  []
  [bounded_frame]
    type = FixOrientation
    input = 'frame'
    output = 'bounded_frame'
    threshold = 0.9
  []
  [thermal_strain]
    type = ThermalEigenstrain
    temperature = 'temperature'
    eigenstrain = 'thermal_strain'
    reference_temperature = 700
    CTE = 1.1e-5
  []
  [strain]
    type = SR2LinearCombination
    from = 'elastic_strain creep_strain thermal_strain'
    to = 'strain'
  []
  [model]
    type = ComposedModel
    models = 'elasticity creep creep_rate creep_strain growth annealed_growth internal_stress
              annealed_back_strain back_strain frame bounded_frame thermal_strain strain'
    additional_outputs = 'creep_strain frame'
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'stress'
    prescribed_SR2_values = 'stresses'
    prescribed_WR2_names = 'spin'
    prescribed_WR2_values = 'spins'
    prescribed_Scalar_names = 'temperature'
    prescribed_Scalar_values = 'temperatures'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
