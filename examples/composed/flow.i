# A viscoplastic flow rule, the part that is compiled: Perzyna flow past a von Mises surface that grows with Voce
# hardening, and whose yield stress falls with temperature.
#   (stress, equivalent plastic strain, temperature) -> (plastic strain rate, equivalent plastic strain rate)
# Units: MPa, s, K.

# Tables are made in double precision here, as neml2-compile reads a table without a dtype in single precision.
[Tensors]
  [knots]
    type = Python
    expr = 'Scalar(torch.tensor([300.0, 600.0, 800.0, 1000.0], dtype=torch.float64))'
  []
  [yield_stresses]
    type = Python
    expr = 'Scalar(torch.tensor([180.0, 150.0, 100.0, 40.0], dtype=torch.float64))'
  []
[]

[Models]
  [yield_stress]
    type = ScalarLinearInterpolation
    argument = 'temperature'
    abscissa = 'knots'
    ordinate = 'yield_stresses'
  []
  [effective_stress]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'stress'
    invariant = 'effective_stress'
  []
  [isotropic_hardening]
    type = VoceIsotropicHardening
    equivalent_plastic_strain = 'equivalent_plastic_strain'
    isotropic_hardening = 'isotropic_hardening'
    saturated_hardening = 70
    saturation_rate = 25
  []
  [yield_function]
    type = YieldFunction
    effective_stress = 'effective_stress'
    isotropic_hardening = 'isotropic_hardening'
    yield_function = 'yield_function'
    yield_stress = 'yield_stress'
  []
  [flow_rate]
    type = PerzynaPlasticFlowRate
    yield_function = 'yield_function'
    flow_rate = 'equivalent_plastic_strain_rate'
    reference_stress = 250
    exponent = 4
  []
  [flow_direction]
    type = AssociativeJ2FlowDirection
    mandel_stress = 'stress'
    flow_direction = 'flow_direction'
  []
  [plastic_flow]
    type = AssociativePlasticFlow
    flow_rate = 'equivalent_plastic_strain_rate'
    flow_direction = 'flow_direction'
    plastic_strain_rate = 'plastic_strain_rate'
  []
  [flow]
    type = ComposedModel
    models = 'effective_stress isotropic_hardening yield_function flow_rate flow_direction plastic_flow'
    additional_outputs = 'equivalent_plastic_strain_rate'
  []
[]
