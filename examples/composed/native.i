# The material with neml2's own flow rule.

cycles = 3
steps = 120

!include flow.i
!include material.i

[Drivers]
  [fatigue]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'strain'
    prescribed_SR2_values = 'strains'
    prescribed_Scalar_names = 'temperature'
    prescribed_Scalar_values = 'temperatures'
  []
[]
