# The same material with the flow rule as compiled by
#   neml2-compile flow.i --model flow -d : --output-dir output

!include material.i

[Models]
  [flow]
    type = AOTIModel
    artifact_path = 'output/flow'
    chain_rule = true
  []
[]
