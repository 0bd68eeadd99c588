# Strain cycles on the Chaboche material of inputs/chaboche: isochoric tension and compression at a constant
# strain rate of 1e-3 1/s, three cycles at each of three amplitudes, forty steps per cycle. Units: MPa, s.

!include ../../inputs/chaboche/model.i

[Tensors]
  # A triangle wave between -1 and 1 that starts at zero.
  [wave]
    type = Python
    expr = '1.0 - 4.0 * torch.abs((torch.linspace(0.0, 3.0, 121) + 0.25) % 1.0 - 0.5)'
  []
  [strain_amplitudes]
    type = Python
    expr = 'torch.tensor([0.003, 0.006, 0.010])'
  []
  # Each amplitude has its own period, for the same strain rate.
  [cyclic_times]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 3.0, 121)[:, None] * 4.0 * strain_amplitudes / 1e-3)'
  []
  [cyclic_strains]
    type = Python
    expr = 'SR2(wave[:, None, None] * strain_amplitudes[:, None]
                * torch.tensor([1.0, -0.5, -0.5, 0.0, 0.0, 0.0]))'
  []
[]

[Drivers]
  [cyclic]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'cyclic_times'
    prescribed_SR2_names = 'strain'
    prescribed_SR2_values = 'cyclic_strains'
  []
[]
