# Stress relaxation of a Wiechert element with temperature-dependent viscosities, solved without a matrix: BiCGStab
# with the whole matrix of the first step as its preconditioner (chord strategy), which is kept until the end of the
# Newton loop. The first guess extrapolates the last two steps. Units: MPa, s, K.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 1.0, 2.0, 5.0, 9.0, 10.0]))'
  []
  [temperatures]
    type = Python
    expr = 'Scalar(torch.linspace(0.0, 1.0, 6)[:, None] * torch.tensor([0.0, 30.0]) + torch.tensor([330.0, 350.0]))'
  []
  [strains]
    type = Python
    expr = 'SR2(torch.tensor([0.0, 0.6, 1.0, 1.0, 1.0, -0.3])[:, None, None]
                * 1e-2 * torch.tensor([[1.0, -0.4, -0.4, 0.0, 0.3, 0.0], [0.0, 0.0, 0.5, 0.9, 0.0, -0.7]]))'
  []
[]

[Models]
  [fast_viscosity]
    type = ArrheniusParameter
    temperature = 'temperature'
    reference_value = 0.02
    activation_energy = -2.6e4
    ideal_gas_constant = 8.314
  []
  [slow_viscosity]
    type = ArrheniusParameter
    temperature = 'temperature'
    reference_value = 0.05
    activation_energy = -3.1e4
    ideal_gas_constant = 8.314
  []
  [element]
    type = WiechertElement
    strain = 'strain'
    viscous_strain_1 = 'fast_strain'
    viscous_strain_2 = 'slow_strain'
    stress = 'stress'
    equilibrium_modulus = 150
    modulus_1 = 600
    viscosity_1 = 'fast_viscosity'
    modulus_2 = 450
    viscosity_2 = 'slow_viscosity'
  []
  [integrate_fast]
    type = SR2BackwardEulerTimeIntegration
    variable = 'fast_strain'
  []
  [integrate_slow]
    type = SR2BackwardEulerTimeIntegration
    variable = 'slow_strain'
  []
  [residual]
    type = ComposedModel
    models = 'element integrate_fast integrate_slow'
  []
  [predictor]
    type = LinearExtrapolationPredictor
    unknowns_SR2 = 'fast_strain slow_strain'
  []
  [update]
    type = ImplicitUpdate
    equation_system = 'system'
    solver = 'newton'
    predictor = 'predictor'
  []
  [model]
    type = ComposedModel
    models = 'update element'
    additional_outputs = 'fast_strain slow_strain'
  []
[]

[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'fast_strain slow_strain'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'bicgstab'
    abs_tol = 1e-13
    rel_tol = 1e-11
    max_its = 20
  []
  [bicgstab]
    type = BiCGStab
    max_its = 60
    rel_tol = 1e-8
    preconditioner = 'full'
    cache_strategy = 'chord'
  []
  [full]
    type = FullPreconditioner
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
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
