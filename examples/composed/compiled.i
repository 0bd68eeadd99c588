# The same material with the flow rule as compiled by
#   neml2-compile flow.i --model flow -d : --output-dir output

cycles = 3
steps = 120

!include material.i

[Models]
  [flow]
    type = AOTIModel
    artifact_path = 'output/flow'
    chain_rule = true
  []
[]

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
