"""Attention pooling: numbers, independent implementations, properties, bad input."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_utils import NWKernelRegression, average_pooling, nadaraya_watson
from attn_utils.data import kernel_regression_data
from attn_utils.pooling import KERNELS, leave_one_out_error
from tests.contracts import MODULE, Module, under
from tests.helpers import close

X, Y, QUERIES, _ = (t.double() for t in kernel_regression_data(40, seed=3))
HALF = [torch.float16, torch.bfloat16]
ALL_KERNELS = list(KERNELS)
COMPACT = [k for k in KERNELS if k != "gaussian"]


def weights_of(*args, **kwargs):
    return nadaraya_watson(*args, return_weights=True, **kwargs)[1]


def others(x):
    return torch.stack([torch.cat([x[:i], x[i + 1 :]]) for i in range(len(x))])


# --- numbers ------------------------------------------------------------------------------------


def test_worked_example():
    output, weights = nadaraya_watson(
        torch.tensor([1.0]),
        torch.tensor([0.0, 1.0, 2.0]),
        torch.tensor([1.0, 3.0, 5.0]),
        return_weights=True,
    )
    expected = torch.tensor([[0.27406862, 0.45186276, 0.27406862]])
    close(weights, expected)
    torch.testing.assert_close(output, torch.tensor([3.0]))


def test_average_pooling_is_the_mean():
    output, weights = average_pooling(QUERIES, X, Y, return_weights=True)
    assert weights.shape == (50, 40)
    torch.testing.assert_close(weights, torch.full((50, 40), 1 / 40, dtype=torch.float64))
    torch.testing.assert_close(output, Y.mean().expand(50))
    assert torch.equal(average_pooling(QUERIES, X, Y), output)


def test_average_pooling_with_a_row_per_query():
    values = torch.arange(20.0).reshape(2, 10)
    output = average_pooling(torch.zeros(2), values, values)
    torch.testing.assert_close(output, torch.tensor([4.5, 14.5]))


@pytest.mark.parametrize("bandwidth", [0.1, 0.5, 2.0])
def test_agrees_with_statsmodels(bandwidth):
    api = pytest.importorskip("statsmodels.nonparametric.kernel_regression")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about an unused random generator
        reg = api.KernelReg(Y.numpy(), X.numpy(), "c", reg_type="lc", bw=[bandwidth])
    expected = torch.from_numpy(reg.fit(QUERIES.numpy())[0])
    ours = nadaraya_watson(QUERIES, X, Y, bandwidth=bandwidth)
    close(ours, expected)
    single = nadaraya_watson(QUERIES.float(), X.float(), Y.float(), bandwidth=bandwidth)
    close(single, expected)


@pytest.mark.parametrize("bandwidth", [0.1, 0.5, 2.0])
def test_agrees_with_scikit_learn(bandwidth):
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    gamma = 1 / (2 * bandwidth**2)
    kernel = pairwise.rbf_kernel(QUERIES.numpy()[:, None], X.numpy()[:, None], gamma=gamma)
    expected = kernel / kernel.sum(axis=1, keepdims=True)
    weights = weights_of(QUERIES, X, Y, bandwidth=bandwidth)
    close(weights, torch.from_numpy(expected))


def test_leave_one_out_error_agrees_with_statsmodels():
    api = pytest.importorskip("statsmodels.nonparametric.kernel_regression")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        reg = api.KernelReg(Y.numpy(), X.numpy(), "c", reg_type="lc", bw=[0.3])
    expected = np.asarray(reg.cv_loo(np.array([0.3]), reg.est["lc"])).item()
    assert leave_one_out_error(X, Y, bandwidth=0.3).item() == pytest.approx(expected, abs=1e-5)


SCALAR_KERNELS = {
    "gaussian": lambda u: math.exp(-u * u / 2) / math.sqrt(2 * math.pi),
    "boxcar": lambda u: 0.5 if abs(u) <= 1 else 0.0,
    "triangular": lambda u: max(0.0, 1 - abs(u)),
    "epanechnikov": lambda u: max(0.0, 0.75 * (1 - u * u)),
}


@pytest.mark.parametrize("kernel", ALL_KERNELS)
@pytest.mark.parametrize("bandwidth", [0.05, 0.3, 1.0, 20.0])
def test_kernels_against_a_loop(kernel, bandwidth):
    K = SCALAR_KERNELS[kernel]
    expected = np.zeros((len(QUERIES), len(X)))
    for t, q in enumerate(QUERIES.tolist()):
        row = [K((q - x) / bandwidth) for x in X.tolist()]
        if sum(row) > 0:
            expected[t] = np.array(row) / sum(row)
    output, weights = nadaraya_watson(
        QUERIES, X, Y, kernel=kernel, bandwidth=bandwidth, return_weights=True
    )
    close(weights, torch.from_numpy(expected))
    close(output, torch.from_numpy(expected @ Y.numpy()))


@pytest.mark.parametrize("kernel", ALL_KERNELS)
def test_kernels_are_densities(kernel):
    u = torch.linspace(-9, 9, 360_001, dtype=torch.float64)
    k = KERNELS[kernel](u)
    assert float(torch.trapezoid(k, u)) == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(k, k.flip(0))
    assert k.argmax() == len(u) // 2 or kernel == "boxcar"
    assert float(KERNELS[kernel](torch.tensor(0.3))) == pytest.approx(SCALAR_KERNELS[kernel](0.3))


@pytest.mark.parametrize("kernel", ALL_KERNELS)
def test_leave_one_out_error_against_a_loop(kernel):
    total = 0.0
    for i in range(len(X)):
        rest = torch.arange(len(X)) != i
        prediction = nadaraya_watson(X[i : i + 1], X[rest], Y[rest], kernel=kernel, bandwidth=0.3)
        total += float((prediction - Y[i]) ** 2)
    error = leave_one_out_error(X, Y, kernel=kernel, bandwidth=0.3)
    assert error.shape == ()
    assert float(error) == pytest.approx(total / len(X), abs=1e-10)


# --- the module ---------------------------------------------------------------------------------


def test_module_is_kernel_regression_with_the_inverse_bandwidth():
    net = NWKernelRegression(2.5)
    assert net.w.shape == (1,)
    assert isinstance(net.w, torch.nn.Parameter)
    output, weights = net(QUERIES, X, Y, return_weights=True)
    torch.testing.assert_close(output, nadaraya_watson(QUERIES, X, Y, bandwidth=1 / 2.5))
    torch.testing.assert_close(weights, weights_of(QUERIES, X, Y, bandwidth=1 / 2.5))
    differences = QUERIES[:, None] - X
    formula = torch.softmax(-((differences * 2.5) ** 2) / 2, dim=1)
    torch.testing.assert_close(weights, formula)


def test_module_takes_a_row_per_query():
    keys, values = others(X), others(Y)
    output, weights = NWKernelRegression(1.5)(X, keys, values, return_weights=True)
    assert output.shape == (40,)
    assert weights.shape == (40, 39)
    for i in (0, 7, 39):
        alone = nadaraya_watson(X[i : i + 1], keys[i], values[i], bandwidth=1 / 1.5)
        torch.testing.assert_close(output[i : i + 1], alone)


def test_module_starts_at_random_as_the_literature_does():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(NWKernelRegression().w.detach(), expected)


@pytest.mark.parametrize("w", [2, 2.0, np.float32(2), torch.tensor(2.0), torch.tensor([2.0])])
def test_module_takes_any_single_number(w):
    net = NWKernelRegression(w)
    assert torch.equal(net.w.detach(), torch.tensor([2.0]))
    assert net.w.is_leaf


def test_module_does_not_share_the_tensor_it_is_given():
    w = torch.tensor([2.0])
    net = NWKernelRegression(w)
    w.zero_()
    assert net.w.item() == 2.0


def test_zero_w_is_average_pooling_and_the_sign_does_not_matter():
    output = NWKernelRegression(0.0)(QUERIES, X, Y)
    torch.testing.assert_close(output, average_pooling(QUERIES, X, Y))
    plus, minus = (NWKernelRegression(w)(QUERIES, X, Y) for w in (1.3, -1.3))
    assert torch.equal(plus, minus)


def test_training_learns_the_width_that_the_loss_asks_for():
    keys, values = others(X), others(Y)
    net = NWKernelRegression(0.6)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(300):
        optimizer.zero_grad()
        (net(X, keys, values) - Y).square().mean().backward()
        optimizer.step()
    widths = torch.logspace(-1.5, 0.5, 400, dtype=torch.float64)
    errors = torch.stack([leave_one_out_error(X, Y, bandwidth=h) for h in widths])
    assert 1 / net.w.item() == pytest.approx(float(widths[errors.argmin()]), rel=0.1)


# --- gradients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["gaussian", "triangular", "epanechnikov"])
@pytest.mark.parametrize("per_query", [False, True])
def test_gradcheck(kernel, per_query):
    torch.manual_seed(0)
    shape = (3, 5) if per_query else (5,)
    arguments = [torch.rand(3), torch.rand(shape) * 2, torch.randn(shape), torch.tensor(1.7)]
    arguments = [a.double().requires_grad_() for a in arguments]

    def function(q, k, v, h):
        return nadaraya_watson(q, k, v, kernel=kernel, bandwidth=h, return_weights=True)

    assert torch.autograd.gradcheck(function, arguments)


def test_second_derivatives_of_the_gaussian_even_on_a_key():
    q = torch.tensor([0.5, 1.0], dtype=torch.float64, requires_grad=True)
    k = torch.tensor([0.5, 1.2, 2.0], dtype=torch.float64, requires_grad=True)
    v = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
    h = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    function = lambda q, k, h: nadaraya_watson(q, k, v, bandwidth=h)  # noqa: E731
    assert torch.autograd.gradgradcheck(function, (q, k, h))


def test_gradcheck_of_w_and_of_the_leave_one_out_error():
    def output(w):
        net = NWKernelRegression(1.0)
        return torch.func.functional_call(net, {"w": w}, (QUERIES[:5], X[:6], Y[:6]))

    w = torch.tensor([1.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(output, (w,))
    h = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda h: leave_one_out_error(X[:9], Y[:9], bandwidth=h), (h,))


def test_values_get_the_weights_as_gradient():
    values = Y.clone().requires_grad_()
    output, weights = nadaraya_watson(QUERIES, X, values, return_weights=True)
    output.sum().backward()
    torch.testing.assert_close(values.grad, weights.sum(dim=0))
    assert not weights.requires_grad


@pytest.mark.parametrize("kernel", COMPACT)
def test_nothing_to_attend_to(kernel):
    inputs = [torch.tensor([0.0, 10.0]), torch.tensor([0.1, 0.2]), torch.tensor([3.0, 4.0])]
    q, k, v = (t.requires_grad_() for t in inputs)
    h = torch.tensor(0.5, requires_grad=True)
    output, weights = nadaraya_watson(q, k, v, kernel=kernel, bandwidth=h, return_weights=True)
    assert torch.equal(weights[1], torch.zeros(2))
    assert output[1] == 0
    assert weights[0].sum().item() == pytest.approx(1)
    output.sum().backward()
    for tensor in (q, k, v, h):
        assert tensor.grad is None or tensor.grad.isfinite().all()


# --- the Gaussian far away ----------------------------------------------------------------------


@pytest.mark.parametrize("distance", [30.0, 1e4, 1e15, 1e30])
def test_gaussian_never_underflows(distance):
    q = torch.tensor([-distance, distance])
    k = torch.tensor([0.0, 1.0, 2.0])
    output, weights = nadaraya_watson(q, k, k + 5, return_weights=True)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
    assert output.isfinite().all()
    if distance < 1e6:  # from about 1e8 on, float32 cannot tell the keys' distances apart
        torch.testing.assert_close(output, torch.tensor([5.0, 7.0]))


def test_far_queries_keep_their_digits():
    q = torch.tensor([3000.0])
    k = torch.tensor([0.0, 0.0005, 0.001])
    single = weights_of(q, k, k, bandwidth=1.0)
    gap = (q - k).double()  # the differences that float32 sees
    exact = torch.softmax(-(gap**2) / 2, dim=-1)[None]
    close(single, exact)


def test_small_bandwidth_far_from_the_keys():
    weights = weights_of(
        torch.tensor([1.4]), torch.tensor([0.0, 1.0, 2.0]), Y[:3].float(), bandwidth=1e-12
    )
    torch.testing.assert_close(weights, torch.tensor([[0.0, 1.0, 0.0]]))


# --- properties ---------------------------------------------------------------------------------


@st.composite
def samples(draw):
    """Queries, keys and values in float64; T == S and rows per query included."""
    num_keys = draw(st.integers(1, 7))
    num_queries = draw(st.one_of(st.just(num_keys), st.integers(1, 6)))
    per_query = draw(st.booleans())
    shape = (num_queries, num_keys) if per_query else (num_keys,)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    scale = draw(st.sampled_from([0.1, 1.0, 30.0]))
    make = lambda *s: torch.randn(*s, generator=generator, dtype=torch.float64)  # noqa: E731
    return scale * make(num_queries), scale * make(*shape), 5 * make(*shape)


kernels = st.sampled_from(ALL_KERNELS)
bandwidths = st.floats(0.05, 20)


@settings(max_examples=80)
@given(samples(), kernels, bandwidths)
def test_rows_are_distributions_and_predictions_stay_among_the_values(sample, kernel, h):
    q, k, v = sample
    before = [t.clone() for t in sample]
    output, weights = nadaraya_watson(q, k, v, kernel=kernel, bandwidth=h, return_weights=True)
    assert output.shape == q.shape
    assert weights.shape == (len(q), k.shape[-1])
    assert (weights >= 0).all()
    sums = weights.sum(dim=1)
    dead = sums == 0
    assert kernel != "gaussian" or not dead.any()
    close(sums[~dead], torch.ones_like(sums[~dead]))
    rows = v.expand(len(q), -1)
    assert (output[~dead] >= rows.amin(dim=1)[~dead] - 1e-9).all()
    assert (output[~dead] <= rows.amax(dim=1)[~dead] + 1e-9).all()
    assert (output[dead] == 0).all()
    assert all(torch.equal(a, b) for a, b in zip(before, sample, strict=True))


@settings(max_examples=60)
@given(samples(), kernels, bandwidths, st.integers(-64, 64))
def test_translation_and_change_of_unit(sample, kernel, h, shift):
    # quarters make every difference exact, so that no key changes sides at a window's edge
    q, k, v = (torch.round(4 * t) / 4 for t in sample)
    h = max(round(8 * h), 1) / 8
    output = nadaraya_watson(q, k, v, kernel=kernel, bandwidth=h)
    moved = nadaraya_watson(q + shift, k + shift, v, kernel=kernel, bandwidth=h)
    torch.testing.assert_close(output, moved)
    doubled = nadaraya_watson(2 * q, 2 * k, v, kernel=kernel, bandwidth=2 * h)
    torch.testing.assert_close(output, doubled)


@settings(max_examples=60)
@given(samples(), kernels, bandwidths, st.randoms(use_true_random=False))
def test_order_does_not_matter(sample, kernel, h, random):
    q, k, v = sample
    order = list(range(k.shape[-1]))
    random.shuffle(order)
    output = nadaraya_watson(q, k, v, kernel=kernel, bandwidth=h)
    permuted = nadaraya_watson(q, k[..., order], v[..., order], kernel=kernel, bandwidth=h)
    torch.testing.assert_close(output, permuted)
    if k.ndim == 1:  # queries are answered independently of each other
        flipped = nadaraya_watson(q.flip(0), k, v, kernel=kernel, bandwidth=h)
        torch.testing.assert_close(output, flipped.flip(0))


@settings(max_examples=60)
@given(samples(), kernels)
def test_the_two_ends_of_the_bandwidth(sample, kernel):
    q, k, v = sample
    wide = nadaraya_watson(q, k, v, kernel=kernel, bandwidth=1e7)
    close(wide, average_pooling(q, k, v), within=1e-4)  # nearly, since 1e7 is not infinite
    distance = (q[:, None] - k).abs()
    nearest = distance.argmin(dim=1)
    second = distance.sort(dim=1).values
    clear = torch.ones(len(q), dtype=torch.bool)
    if second.shape[1] > 1:
        clear = second[:, 1] - second[:, 0] > 1e-4
    narrow = nadaraya_watson(q, k, v, bandwidth=1e-6)
    expected = v.expand(len(q), -1).gather(1, nearest[:, None]).squeeze(1)
    torch.testing.assert_close(narrow[clear], expected[clear])


@settings(max_examples=30)
@given(samples(), kernels, bandwidths)
def test_shared_rows_equal_repeated_rows(sample, kernel, h):
    q, k, v = sample
    rows = (len(q), k.shape[-1])
    shared = nadaraya_watson(q, k, v, kernel=kernel, bandwidth=h)
    repeated = nadaraya_watson(q, k.expand(rows), v.expand(rows), kernel=kernel, bandwidth=h)
    torch.testing.assert_close(shared, repeated)


def test_mixed_ranks():
    keys = X[:4].expand(3, 4)
    values = torch.arange(12.0, dtype=torch.float64).reshape(3, 4)
    output = nadaraya_watson(X[:3], X[:4], values)
    torch.testing.assert_close(output, nadaraya_watson(X[:3], keys, values))
    output = nadaraya_watson(X[:3], keys, Y[:4])
    torch.testing.assert_close(output, nadaraya_watson(X[:3], X[:4], Y[:4]))


def test_one_key_has_all_the_weight_and_no_query_gives_no_row():
    one = weights_of(QUERIES, X[:1], Y[:1])
    assert torch.equal(one, torch.ones(50, 1, dtype=torch.float64))
    output, weights = nadaraya_watson(QUERIES[:0], X, Y, return_weights=True)
    assert output.shape == (0,)
    assert weights.shape == (0, 40)


# --- dtypes and devices -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
def test_dtype_is_kept(dtype):
    q, k, v = QUERIES.to(dtype), X.to(dtype), Y.to(dtype)
    calls = [
        average_pooling(q, k, v, return_weights=True),
        nadaraya_watson(q, k, v, bandwidth=0.3, return_weights=True),
        nadaraya_watson(q, k, v, kernel="epanechnikov", bandwidth=2, return_weights=True),
        NWKernelRegression(2.0)(q, k, v, return_weights=True),
        NWKernelRegression(2.0).to(dtype)(q, k, v, return_weights=True),
    ]
    for output, weights in calls:
        assert output.dtype == weights.dtype == dtype
        sums = weights.double().sum(dim=1).to(dtype)
        close(sums, torch.ones_like(sums))
    assert leave_one_out_error(k, v, bandwidth=0.3).dtype == dtype


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_is_computed_in_float32(dtype):
    q, k, v = QUERIES.to(dtype), X.to(dtype), Y.to(dtype)
    expected = nadaraya_watson(q.float(), k.float(), v.float(), bandwidth=0.05)
    assert torch.equal(nadaraya_watson(q, k, v, bandwidth=0.05), expected.to(dtype))


def test_meta_device():
    q, k, v = (t.to("meta") for t in (QUERIES, X, Y))
    for kernel in KERNELS:
        output, weights = nadaraya_watson(q, k, v, kernel=kernel, return_weights=True)
        assert output.shape == (50,)
        assert weights.shape == (50, 40)
        assert weights.is_meta
    assert average_pooling(q, k, v).is_meta
    assert leave_one_out_error(k, v).shape == ()
    with torch.device("meta"):
        net = NWKernelRegression()
        assert NWKernelRegression(2.0).w.is_meta
    assert net.w.is_meta
    assert net(q, k, v).shape == (50,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_device():
    q, k, v = (t.cuda() for t in (QUERIES, X, Y))
    for kernel in KERNELS:
        output = nadaraya_watson(q, k, v, kernel=kernel, bandwidth=torch.tensor(0.4))
        assert output.is_cuda
        expected = nadaraya_watson(QUERIES, X, Y, kernel=kernel, bandwidth=0.4)
        torch.testing.assert_close(output.cpu(), expected)
    assert NWKernelRegression(2.0).cuda()(q, k, v).is_cuda
    with pytest.raises(ValueError, match="keys: expected the queries' device cuda:0, got cpu"):
        nadaraya_watson(q, X, v)


def test_non_contiguous_inputs():
    wide = torch.stack([X, Y, X], dim=1)  # columns have stride 3
    torch.testing.assert_close(
        nadaraya_watson(QUERIES[::2], wide[:, 0], wide[:, 1]), nadaraya_watson(QUERIES[::2], X, Y)
    )


@pytest.mark.parametrize("h", [torch.tensor(0.4), torch.tensor([0.4]), np.float32(0.4)])
def test_bandwidth_may_be_a_tensor(h):
    single = [t.float() for t in (QUERIES, X, Y)]
    output = nadaraya_watson(*single, bandwidth=h)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, nadaraya_watson(*single, bandwidth=0.4))


def test_a_float_bandwidth_is_not_rounded_to_float32():
    exact = torch.tensor(0.1, dtype=torch.float64)
    given = nadaraya_watson(QUERIES, X, Y, bandwidth=0.1)
    assert torch.equal(given, nadaraya_watson(QUERIES, X, Y, bandwidth=exact))


# --- bad input ----------------------------------------------------------------------------------

Q, K, V = torch.rand(3), torch.rand(4), torch.rand(4)
NAN = torch.tensor([0.0, math.nan, 1.0, 2.0])
BAD_INPUT = [
    ((Q[None], K, V), r"queries: expected shape \(T,\), got \(1, 3\)"),
    ((torch.tensor(1.0), K, V), r"queries: expected shape \(T,\), got \(\)"),
    ((Q, torch.rand(2, 4), V), r"keys: expected .* T = 3 queries, got \(2, 4\)"),
    ((Q, torch.rand(3, 4, 1), V), r"keys: expected .* got \(3, 4, 1\)"),
    ((Q, K, torch.rand(4, 1)), r"values: expected .* T = 3 queries, got \(4, 1\)"),
    ((Q, K, torch.rand(5)), r"values: expected one for each of the 4 keys .* got shape \(5,\)"),
    ((Q, K[:0], V[:0]), r"keys: expected at least one, got shape \(0,\)"),
    ((Q, torch.rand(3, 0), V), r"keys: expected at least one, got shape \(3, 0\)"),
    ((NAN, K, V), r"queries: expected finite numbers, got 1 NaN or infinite in shape \(4,\)"),
    ((Q, NAN, V), "keys: expected finite numbers, got 1"),
    ((Q, K, NAN), "values: expected finite numbers, got 1"),
    ((Q, K, V / 0), "values: expected finite numbers, got 4"),
    ((Q, torch.arange(4), V), "keys: expected floating-point numbers, got torch.int64"),
    (([1.0], K, V), "queries: expected a tensor, got list"),
    ((Q, K.to("meta"), V), "keys: expected the queries' device cpu, got meta"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT)
@pytest.mark.parametrize("function", [average_pooling, nadaraya_watson, NWKernelRegression(1.0)])
def test_bad_input(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


@pytest.mark.parametrize("h", [0, 0.0, -1.0, math.nan, math.inf, -math.inf, 1e-300])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_bad_bandwidth(h, as_tensor):
    given = torch.tensor(float(h), dtype=torch.float64) if as_tensor else h
    message = "bandwidth: expected a positive finite number"
    with pytest.raises(ValueError, match=message):
        nadaraya_watson(Q, K, V, bandwidth=given)
    with pytest.raises(ValueError, match=message):
        leave_one_out_error(K, V, bandwidth=given)


def test_other_bad_bandwidths():
    with pytest.raises(
        ValueError, match=r"bandwidth: expected one .* got torch.float32 of .*\(3,\)"
    ):
        nadaraya_watson(Q, K, V, bandwidth=Q)
    with pytest.raises(ValueError, match="bandwidth: expected one number, got 'wide'"):
        nadaraya_watson(Q, K, V, bandwidth="wide")
    with pytest.raises(ValueError, match="bandwidth: expected one number, got None"):
        nadaraya_watson(Q, K, V, bandwidth=None)
    with pytest.raises(ValueError, match="bandwidth: expected one large enough"):
        nadaraya_watson(Q, K + 10, V, bandwidth=1e-38)


def test_unknown_kernel():
    with pytest.raises(
        ValueError,
        match="kernel: expected one of gaussian, boxcar, triangular, epanechnikov, got 'cosine'",
    ):
        nadaraya_watson(Q, K, V, kernel="cosine")
    with pytest.raises(ValueError, match="kernel: expected one of"):
        leave_one_out_error(K, V, kernel="Gaussian")
    with pytest.raises(ValueError, match="kernel: expected one of"):
        nadaraya_watson(Q, K, V, kernel=["gaussian"])


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (math.nan, "w: expected a finite number, got nan"),
        (math.inf, "w: expected a finite number, got inf"),
        (torch.ones(2), r"w: expected one .* shape \(2,\)"),
        ("one", "w: expected one number, got 'one'"),
    ],
)
def test_bad_w(w, message):
    with pytest.raises(ValueError, match=message):
        NWKernelRegression(w)


@pytest.mark.parametrize(
    ("keys", "values", "message"),
    [
        (K[:1], V[:1], r"n >= 2, got keys \(1,\)"),
        (K, V[:3], r"values: .* got keys \(4,\) and values \(3,\)"),
        (torch.rand(4, 4), torch.rand(4, 4), r"keys: .* got keys \(4, 4\)"),
        (NAN, V, "keys: expected finite numbers"),
        (K, NAN, "values: expected finite numbers"),
        (K, [1.0], "values: expected a tensor, got list"),
    ],
)
def test_bad_input_to_leave_one_out(keys, values, message):
    with pytest.raises(ValueError, match=message):
        leave_one_out_error(keys, values)


def test_a_width_that_overflows_is_refused():
    x = torch.tensor([0.0, 10.0])
    with pytest.raises(ValueError, match=r"w: expected one so small .* got 3"):
        NWKernelRegression(3e38)(x, x, x)
    assert torch.equal(NWKernelRegression(1e37)(x, x, x), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_leaves_the_sum_in_single_precision(dtype):
    x, y = torch.rand(40), 100 + torch.rand(40)
    want = nadaraya_watson(x, x, y, bandwidth=0.1)
    with torch.autocast("cpu", dtype):
        assert torch.equal(nadaraya_watson(x, x, y, bandwidth=0.1), want)
        assert torch.equal(
            nadaraya_watson(x, x, y.expand(40, 40), bandwidth=0.1).round(), want.round()
        )


# --- the life of a module ----------------------------------------------------------------------

MODULES = [
    Module(
        NWKernelRegression,
        (),
        lambda B, n: (torch.randn(B), torch.randn(n), torch.randn(n)),
    ),
]

test_life = under(MODULE, MODULES)
