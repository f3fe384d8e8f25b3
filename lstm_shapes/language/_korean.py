"""What learners read, in Korean: the keys and gaps of `_english.py`.

A gap is never followed by a particle that depends on how the gap is read aloud (은/는, 이/가, 을/를). Sentences end in
-ㅂ니다, what stands in a table's cell is a noun phrase.
"""

from __future__ import annotations

TERMS = {
    "은닉 상태": "hidden state",
    "셀 상태": "cell state",
    "배치": "batch",
    "시퀀스": "sequence",
    "시점": "time step",
    "특성": "feature",
    "층": "layer",
    "게이트": "gate",
    "순방향": "forward",
    "역방향": "backward",
    "양방향": "bidirectional",
    "매개변수": "parameter",
    "순환 행렬": "recurrent matrix",
    "편향": "bias",
    "패딩": "padding",
    "패킹": "packing",
    "투영": "projection",
    "드롭아웃": "dropout",
    "교차 엔트로피": "cross entropy",
    "형상": "shape",
    "가중치": "weight",
    "기울기": "gradient",
    "역전파": "backpropagation",
    "망각 게이트": "forget gate",
    "리셋 게이트": "reset gate",
    "유닛": "unit",
    "훅": "hook",
}
"""Terms of the field and the English word that a page gives behind the first of each."""

_STILL = "층 사이에서 드롭아웃이 작동하지 않을 때: dropout=0, K = 1 또는 layer.eval()"

SENTENCES = {
    # ---- which layer, how much data
    "call": "길이 L={L:,}인 시퀀스 N={N:,}개, `batch_first={batch_first}`",
    "call packed": "최대 길이 L={L:,}인 시퀀스 N={N:,}개, 패킹된 실제 시점 {T:,}개, `batch_first={batch_first}`",
    "call cell": "시퀀스 N={N:,}개, 한 시점",
    "call unbatched": "배치 축이 없는 길이 L={L:,}인 시퀀스 하나, `batch_first={batch_first}`",
    "call unbatched packed": (
        "배치 축이 없는 길이 L={L:,}인 시퀀스 하나, 패킹된 실제 시점 {T:,}개, `batch_first={batch_first}`"
    ),
    "call unbatched cell": "배치 축이 없는 한 시점",
    "bytes": "{number:,}바이트",
    # ---- symbols
    "symbol N": "배치에 든 시퀀스의 수",
    "symbol L": "시퀀스의 길이(시점의 수)",
    "symbol Q": "입력 차원(시점당 특성 수)",
    "symbol D": "셀 상태의 차원",
    "symbol K": "쌓은 층의 수",
    "symbol R": "읽는 방향의 수, 1 또는 2",
    "symbol P": "투영 차원(0이면 투영 없음)",
    "symbol H": "은닉 상태의 차원: 투영이 있으면 P, 없으면 D",
    "symbol G": "게이트의 수: LSTM 4, GRU 3, RNN 1",
    "symbol T": "패딩을 뺀 모든 시퀀스의 시점 수를 더한 값(패킹된 입력)",
    # ---- the first table: what each tensor is
    "shapes": "형상",
    "name": "이름",
    "axes": "축",
    "sizes": "크기",
    "what it is": "의미",
    "torch's words": (
        "torch에서 쓰는 이름: Q=input_size (Embedding 다음이라면 그 embedding_dim), "
        "D=hidden_size (Keras의 units){more}."
    ),
    "is X": "입력: 시퀀스 N개, 시점 L개, 특성 Q개",
    "is X, unbatched": "입력: 시점 L개, 특성 Q개",
    "is X, cell": "입력: 시퀀스 N개의 한 시점, 특성 Q개",
    "is X, unbatched, cell": "입력: 한 시점, 특성 Q개",
    "is X.data": "패킹된 입력: 패딩을 뺀 실제 시점 T개",
    "is Y.data": "패킹된 출력: 패딩을 뺀 실제 시점 T개",
    "is state": "시점 0 직전의 {state}, 생략하면 0",
    "is Y": "각 시점을 읽은 뒤 최상위 층의 은닉 상태",
    "is Y, both": "각 시점을 읽은 뒤 최상위 층의 은닉 상태, 순방향 절반이 앞",
    "is last": "마지막 시점을 읽은 뒤 모든 층의 {state}",
    "is last, both": "층과 방향마다 마지막으로 남은 {state}",
    "is last, rows": "행마다 자기 길이 끝에서의 모든 층의 {state}",
    "is last, both, rows": "행마다 자기 길이를 다 읽은 층별, 방향별 {state}",
    "is state, cell": "이 시점 직전의 {state}, 생략하면 0",
    "is last, cell": "이 시점을 읽은 뒤의 {state}, 다음 호출의 {initial}",
    "state h": "은닉 상태",
    "state c": "셀 상태",
    "state h, c": "은닉 상태와 셀 상태",
    # ---- parameters
    "parameters of": "{layer}: 매개변수",
    "sizes wanted": "N과 L 또는 lengths를 주면 MACs도 셉니다",
    "parameters title": "매개변수",
    "layer": "층 {k}",
    "two layers": "층 1, 2",
    "layers": "층 1–{last:,}",
    "total": "합계",
    "size": "{dtype} 기준 {size}",
    "size and share": "{dtype} 기준 {size}; 매개변수의 {share} 정도가 순환 행렬 H·D",
    "size and share, D costs": "{dtype} 기준 {size}; 매개변수의 {share} 정도가 순환 행렬 H·D이므로 D를 줄이는 것이 가장 효과적",
    "two biases LSTM": "2D: cuDNN에 맞추어 게이트마다 편향이 두 개입니다. LSTM에서는 두 편향을 더하기만 합니다.",
    "two biases GRU": (
        "2D: cuDNN에 맞추어 게이트마다 편향이 두 개입니다. GRU에서는 b_hn만 리셋 게이트가 곱해지는 항 안에 있습니다."
    ),
    "two biases RNN": "2D: cuDNN에 맞추어 편향이 두 개입니다. RNN에서는 두 편향을 더하기만 합니다.",
    "of it": "그중",
    "recurrent matrices": "순환 행렬 H·D",
    "one bias fewer": "게이트마다 편향이 하나 적음: {fewer:,}개 감소",
    "MACs of": "시점 {T:,}개 × 시점당 {each:,} (시점의 수는 {formula}, 편향은 세지 않음)",
    "kept": "역전파를 위해 보관하는 값",
    "tensor": "텐서",
    "formula": "식",
    "elements": "원소 수",
    "kept how": (
        "CPU의 float64처럼 시점마다 차례로 계산할 때 autograd가 보관하는 값입니다. 가중치와 기울기는 세지 않았습니다. "
        "여러 연산을 하나로 합친 커널은 같은 내용을 더 큰 형태로 보관합니다."
    ),
    "kept inputs": "각 층의 입력",
    "kept gates i, f, g, o": "게이트 i, f, g, o",
    "kept gates r, z in W_h·h'": "W_h·h' 안의 게이트 r, z",
    "kept h, and h0": "h와 h0",
    "kept h before the projection": "투영하기 전의 h",
    "kept joined": "새 행과 이어 붙인 h'",
    "kept zeros of dropout": "드롭아웃의 0",
    "kept masks of dropout": "드롭아웃의 마스크",
    # ---- why another tool prints another number
    "tools": "다른 도구의 숫자가 다른 이유",
    "tool": "도구",
    "its number": "그 도구의 값",
    "how it comes about": "그렇게 되는 이유",
    "no number": "없음",
    "here": "이 라이브러리의 값: 행렬 곱의 곱셈 하나를 한 번으로 세어 {macs:,} MACs, 매개변수 {total:,}개입니다.",
    "parameters": "매개변수",
    "tool fused": (
        "CPU의 float32 LSTM은 oneDNN이 연산 하나로 합치는데 그 연산에 대한 공식이 없음; meta 장치에서는 값이 맞음"
    ),
    "tool doubles": "1 MAC은 곱셈 하나와 덧셈 하나, 곧 2 FLOPs",
    "tool counts biases": "편향까지 셈",
    "tool crashes": "패킹된 입력을 주면 오류로 멈춤 (AttributeError)",
    "tool takes D": "출력의 특성 D개를 시점으로 셈",
    "tool takes features": "출력의 특성 {width}개를 시점으로 셈",
    "tool takes Q": "X의 특성 Q개를 시점으로 셈",
    "tool counts padding": "패딩도 계산하는 것으로 셈",
    "tool ignores projection": "투영을 무시함",
    "tool leaves out projection": "투영 자체의 곱셈을 빠뜨림",
    "tool fails on packed": "패킹된 입력을 주면 실패하고 아무 값도 내지 않음",
    "tool fails on a step": "배치 축이 없는 한 시점을 주면 실패하고 아무 값도 내지 않음",
    "tool counts more": "편향과 원소별 연산까지 셈",
    "tool counts elementwise": "원소별 연산까지 셈",
    "tool has no projection": "Keras의 LSTM에는 투영이 없음",
    "tool has two biases": "torch처럼 게이트마다 편향 벡터가 두 개 (reset_after=True)",
    "tool has no biases": "여기와 같이 편향이 없음",
    "tool has one bias": "게이트마다 편향 벡터가 하나, torch는 두 개",
    # ---- slices
    "slices": "슬라이스",
    "reading it": "값 읽기",
    "nothing to slice": "셀은 Y를 반환하지 않으므로 슬라이스할 것이 없습니다.",
    "star": "★ 분류기에 넣을 값.",
    "star joined": "★ 분류기에 넣을 값: `torch.cat([hn[-2], hn[-1]], dim=-1)`.",
    "slice last sample": "마지막 시점이 아니라 마지막 샘플",
    "slice first step": "첫 시점",
    "slice last step": "마지막 시점",
    "slice last step, forward": "순방향 절반의 마지막 시점",
    "slice last step, backward": "역방향 절반의 마지막 시점",
    "slice first step, backward": "역방향 절반의 첫 시점",
    "slice everything": "전체를 다 읽은 상태",
    "slice one step": "한 시점만 읽은 상태",
    "slice kept N": "배치 축은 유지",
    "slice kept L": "시점 축은 유지",
    "slice half read": "역방향 절반은 한 시점만 읽은 상태",
    "slice zeros": "L보다 짧은 행에서는 0",
    "slice sample 0": "샘플 0 하나의 모든 층: 배치는 축 1",
    "slice hn only": "마지막 은닉 상태, 하나뿐인 층",
    "slice hn top": "마지막 은닉 상태, 최상위 층",
    "slice hn bottom": "마지막 은닉 상태, 최하위 층",
    "slice forward": "순방향",
    "slice backward": "역방향",
    # ---- notes
    "mind": "유의할 점",
    "notes": "참고",
    "note open question": (
        "`Y[:, -1, :]`과 `Y[:, -1:]`은 다릅니까? 다릅니다. 정수 인덱스는 그 축을 없애고, 슬라이스는 크기 1인 축으로 "
        "남깁니다. `Y[:, -1, :]`과 `Y[:, -1]`은 같은 텐서이고, `Y[:, -1:]`은 값은 같지만 축이 하나 더 있습니다. "
        "Linear에는 어느 쪽이든 넣을 수 있지만, 레이블 N개에 대한 교차 엔트로피에는 앞의 것을 넣어야 합니다."
    ),
    "note batch first": "`batch_first=True`이므로 `x.size(0)`은 배치 크기 N이고 `x.size(1)`은 시점의 수 L입니다.",
    "note time first": "`batch_first=False`이므로 `x.size(0)`은 시점의 수 L이고 `x.size(1)`은 배치 크기 N입니다.",
    "note states and layout": (
        "상태의 형상은 항상 (K·R, N, …)입니다. `batch_first`는 상태의 축 순서를 바꾸지 않습니다."
    ),
    "note hidden, not cell": "`{last}` 값은 셀 상태가 아니라 은닉 상태입니다. 셀 상태는 Y에 나타나지 않습니다.",
    "note cell states": (
        "`cn`은 마지막 시점을 읽은 뒤의 셀 상태입니다. 매 시점의 셀 상태는 `gates(layer, x){top}.c`에서 볼 수 있습니다."
    ),
    "note top layer": (
        "`hn[-1]`은 최상위 층, `hn[0]`은 최하위 층입니다. Y에는 최상위 층만 있으므로 `{last}` 값과 `hn[-1]` 값이 같습니다."
    ),
    "note top layer, short rows": (
        "`hn[-1]`은 최상위 층, `hn[0]`은 최하위 층입니다. Y에는 최상위 층만 있으므로, "
        "길이가 L인 행에서는 `{last}` 값과 `hn[-1]` 값이 같습니다."
    ),
    "note half a summary": (
        "`{last}` 값은 두 방향을 요약하지 못합니다. 그 역방향 절반은 한 시점만 읽었기 때문입니다. "
        "`hn[-2]`(순방향)와 `hn[-1]`(역방향)을 이어 붙이십시오."
    ),
    "note short rows": (
        "L보다 짧은 행이 있습니다. `hn`은 행마다 자기 마지막 시점을 읽은 뒤의 상태이고, 그 뒤의 Y는 0입니다. "
        "`hn[-1]` 또는 `{gathered}` 값을 읽으십시오."
    ),
    "note short rows, two directions": (
        "L보다 짧은 행이 있습니다. `hn`은 행마다 자기 끝까지 읽은 상태이고, 행이 끝난 뒤의 Y는 0입니다. "
        "`hn[-2]`와 `hn[-1]`을 읽으십시오. `{gathered}` 값은 `hn[-2]`와 같습니다."
    ),
    "note projection": (
        "투영을 하면 h와 Y의 차원은 P = {P}, c의 차원은 그대로 D = {D}입니다. 그래서 h0과 c0의 형상이 다릅니다."
    ),
    "note unbatched": ("2차원 x는 배치가 아니라 시퀀스 하나, 곧 (L, Q)입니다. 상태는 N이 없는 (K·R, {H})입니다."),
    "note one step": (
        "셀은 한 층의 한 시점만 계산하여 Y 없이 `{returned}`만 반환합니다. 시점에 대한 반복문은 직접 작성해야 합니다."
    ),
    "note no dropout": (
        "여기서는 `dropout={dropout}` 설정이 아무 효과도 내지 않습니다. 드롭아웃은 층과 층 사이에 작용하는데, K = 1이면 그 사이가 없습니다."
    ),
    "note dropout": "`dropout={dropout}` 설정은 마지막 층을 뺀 각 층의 출력에, 학습 모드에서만 작용합니다.",
    "note chained": (
        "K = {K}개의 층은 한 층짜리 {layer} {K}개를 이어 놓은 것과 같습니다. 각 층은 바로 아래층의 Y를 읽습니다."
    ),
    "note batch size": (
        "N은 배치의 개수가 아니라 배치 하나의 크기입니다. 한 배치 안의 시퀀스는 서로 영향을 주지 않습니다."
    ),
    "note widths": (
        "D는 Q와 같을 필요가 없습니다. 은닉 상태의 차원은 자유롭게 정하며, `nn.Embedding` 다음이라면 Q는 그 `embedding_dim`입니다."
    ),
    "note shared weights": (
        "모든 시점이 같은 가중치를 함께 쓰므로, 매개변수의 수는 N에도 L에도 따라 달라지지 않습니다."
    ),
    "note D costs": "비용을 좌우하는 것은 D입니다. 매개변수의 {share} 정도가 순환 행렬에 있습니다.",
    "note D costs, half": (
        "비용을 좌우하는 것은 D입니다. 매개변수의 {share} 정도가 순환 행렬에 있습니다. "
        "D = {half}이면 매개변수의 수가 {total}개에서 {less}개로 줄어듭니다."
    ),
    "note share": "매개변수의 {share} 정도가 순환 행렬에 있습니다.",
    "note share, half": (
        "매개변수의 {share} 정도가 순환 행렬에 있습니다. "
        "D = {half}이면 매개변수의 수가 {total}개에서 {less}개로 줄어듭니다."
    ),
    "note memory": (
        "학습할 때 이 층은 가중치 말고도 약 {kept}개의 수를 역전파를 위해 보관합니다. "
        "바이트 수는 `.counts.activation_bytes`에 있으며, `torch.no_grad()` 안에서는 아무것도 보관하지 않습니다."
    ),
    "note nothing kept": (
        "층은 호출이 끝나면 아무 상태도 기억하지 않습니다. 끝난 곳에서 이어 가려면 `{states}` 값을 다음 호출에 넘기고, "
        "학습할 때는 각각 `.detach()`를 하십시오."
    ),
    "note nothing kept, two directions": (
        "층은 호출이 끝나면 아무 상태도 기억하지 않습니다. 또한 양방향이면 끝난 곳에서 이어 갈 수 없습니다. "
        "역방향은 전체 시퀀스의 끝에서 시작하기 때문입니다."
    ),
    "note which output": (
        "시점마다 답이 하나이면 Y에 `nn.Linear({width}, n)`을 씁니다. "
        "시퀀스마다 답이 하나이면(클래스 n개 또는 미래의 값 n개) `{summary}`에 `nn.Linear({width}, n)`을 씁니다."
    ),
    "note Keras": (
        "Keras의 `return_sequences=True`는 Y에, `return_sequences=False`는 `{summary}`에 해당합니다. Keras의 `units`는 D입니다."
    ),
    "note torch's words": (
        "torch의 기본값은 `batch_first=False`이고 이 라이브러리의 기본값은 True입니다. "
        "torch 문서의 D는 방향의 수이고, 여기서 D는 은닉 차원입니다."
    ),
    # ---- laws: as they are written where no expression says it, when they hold, why, and why not
    "laws": "법칙",
    "laws counted": "성립하는 항등식: {holding}; 같아 보이지만 다른 식: {others}",
    "expression": "식",
    "why": "이유",
    "laws caption": "= 항등식, ≠ 항등식처럼 보이지만 이 층에서는 성립하지 않는 식.",
    "law: when": _STILL,
    "law: why not": (
        "드롭아웃은 호출할 때마다 마스크를 새로 뽑으므로 두 번의 호출이 서로 다릅니다. layer.eval()로 끌 수 있습니다."
    ),
    "law last step: when": "한 방향이고 L보다 짧은 행이 없을 때",
    "law last step: why": "Y는 각 시점을 읽은 뒤 최상위 층의 은닉 상태이고, hn[-1]은 그 가운데 마지막 시점을 읽은 뒤의 상태입니다.",
    "law last step: why not": (
        "hn[-1]은 행마다 자기 시점을 모두 읽은 한 방향의 상태이지만, Y의 이 시점은 두 방향이 함께 있거나 패딩입니다."
    ),
    "law wrong axis: when": "한 방향이고 N = L = 1일 때",
    "law wrong axis: why": "시퀀스도 하나, 시점도 하나이면 혼동할 축이 없습니다.",
    "law wrong axis: why not": (
        "-1이 배치 축에 있습니다. 각 시퀀스의 마지막 시점이 아니라 마지막 시퀀스의 모든 시점을 가리킵니다."
    ),
    "law gathered step: when": "패킹된 행에서는 항상",
    "law gathered step: why": "hn은 행마다 자기 마지막 시점을 읽은 뒤의 상태이고, 그 시점의 번호는 Y에서 length - 1입니다.",
    "law forward half: when": "두 방향이고 L보다 짧은 행이 없을 때",
    "law forward half: why": "순방향 절반은 마지막 시점에서 전체를 다 읽었고, hn[-2]는 최상위 층의 순방향 행입니다.",
    "law forward half: why not": "L보다 짧은 행은 그 자리가 0으로 패딩되어 있습니다. 그 행의 마지막 시점은 length - 1입니다.",
    "law backward half: when": "두 방향일 때",
    "law backward half: why": "역방향 절반은 끝에서부터 읽으므로 시점 0에서 전체를 다 읽은 상태가 됩니다.",
    "law backward half at the end: when": "L = 1일 때",
    "law backward half at the end: why": "시점이 하나이면 첫 시점이 곧 마지막 시점입니다.",
    "law backward half at the end: why not": "역방향 절반은 끝에서 시작하므로 그 자리에서는 한 시점만 읽은 상태입니다.",
    "law unflattened: when": "두 방향일 때",
    "law unflattened: why": "hn의 첫 축은 층이 먼저입니다. 층 0의 두 방향, 다음으로 층 1의 두 방향 순서입니다.",
    "law unflattened wrongly: when": "K = 1일 때",
    "law unflattened wrongly: why": "층이 하나이면 K·R과 R·K가 같습니다.",
    "law unflattened wrongly: why not": (
        "hn의 첫 축은 층이 먼저입니다. (R, K, …)로 나누면 행이 다른 층과 다른 방향의 것으로 바뀝니다."
    ),
    "law flattened to rows: when": "K·R = 1이거나 N = 1일 때",
    "law flattened to rows: why": "상태의 행이 하나이거나 시퀀스가 하나이면 수를 늘어놓는 방법이 하나뿐입니다.",
    "law flattened to rows: why not": (
        "hn의 첫 축은 N이 아니라 K·R입니다. view만 쓰면 서로 다른 시퀀스의 상태가 섞입니다."
    ),
    "law output is cell state: when": "없음",
    "law output is cell state: why not": (
        "h = o * tanh(c)입니다. Y와 hn은 은닉 상태이고, 셀 상태는 cn으로만 나옵니다."
    ),
    "law equal widths: when": "투영이 없을 때",
    "law equal widths: why": "셀 상태와 은닉 상태의 차원이 모두 D입니다.",
    "law equal widths: why not": "투영을 하면 h의 차원은 P가 되고 c의 차원은 D로 남습니다.",
    "law zero start: why": "생략한 초기 상태는 0으로 채운 상태와 같습니다.",
    "law feedback": "layer(X) == 시점마다 한 번씩 호출하며 상태를 되먹인 결과 ({finals})",
    "law feedback: when": f"한 방향이거나 L = 1이고, L보다 짧은 행이 없으며, {_STILL}",
    "law feedback: why": "어떤 시점 이전의 내용은 되먹인 상태를 통해서만 그 시점에 전해집니다.",
    "law feedback: why not": (
        "한 시점씩 계산하면 역방향은 뒤에 올 내용을 볼 수 없고, 짧은 행은 패딩까지 계속 읽으며, "
        "드롭아웃은 시점마다 마스크를 새로 뽑습니다."
    ),
    "law cell loop": "{kind} 반복 == 가중치가 같은 {layer_kind}",
    "law cell loop: when": "항상",
    "law cell loop: why": "셀은 한 층짜리 모듈의 한 시점입니다. 셀의 상태를 되먹이는 반복문이 곧 그 모듈입니다.",
    "law layout": "layer(X) == {other_layout}(X.transpose(0, 1)), Y의 축은 되돌림",
    "law layout: why": ("batch_first는 X와 Y의 축 순서만 정합니다. 상태와 가중치와 결과는 그대로입니다."),
    "law layout, one sequence": "layer(X) == batch_first={other_batch_first}만 다른 같은 층",
    "law layout, one sequence: why": "배치 축이 없으면 batch_first와 관계없이 X는 (L, Q)입니다.",
    "law chain": "layer(X) == 한 층짜리 모듈 K개를 이은 것",
    "law chain, two_way": "layer(X) == 한 층짜리 모듈 K개를 이은 것, 역방향은 행을 뒤집어 읽음",
    "law chain: why": (
        "각 층은 바로 아래층의 Y를 읽고, 각 방향은 저마다 하나의 층이며, hn은 그 마지막 상태들을 쌓은 것입니다."
    ),
    "law chain: why not": "드롭아웃은 각 층이 다음 층에 넘기는 값의 일부를 0으로 만듭니다.",
    "law one step seen": "{own_last_backward} == 최상위 층이 자기 입력의 마지막 시점만 읽은 것",
    "law one step seen: why": (
        "역방향은 마지막 시점에서 시작합니다. 그보다 뒤의 시점은 없고, 앞의 시점은 아직 읽지 않았습니다."
    ),
    "law one step seen of X": "{own_last_backward} == 모든 층이 X의 마지막 시점만 읽은 것",
    "law one step seen of X: when": f"K = 1이거나 시점이 하나이고, {_STILL}",
    "law one step seen of X: why": "역방향은 X의 마지막 시점에서 시작하며 다른 시점은 읽지 않았습니다.",
    "law one step seen of X: why not": (
        "최상위 층은 아래층의 두 절반을 모두 읽는데, 그 순방향 절반은 X의 모든 시점을 읽은 것입니다."
    ),
    "law rows alone": "layer(X) == 각 행을 따로 계산한 것",
    "law rows alone, packed": "layer(X) == 각 행을 패딩 없이 따로 계산한 것",
    "law rows alone: why": "한 배치 안의 시퀀스는 서로 영향을 주지 않습니다.",
    "law padding read": "layer(패킹된 X) == layer(패딩된 X)",
    "law padding read: when": f"L보다 짧은 행이 없고, {_STILL}",
    "law padding read: why": "패딩이 없으면 뺄 것도 없습니다.",
    "law padding read: why not": (
        "패킹하지 않으면 층은 패딩도 데이터처럼 읽습니다(드롭아웃이 있으면 마스크도 새로 뽑습니다)."
    ),
    # ---- proof
    "proof of": "{layer}: 검증",
    "proof": "검증",
    "claims hold": (
        "예측 {all:,}개 가운데 {held:,}개가 측정과 일치합니다 (torch {version}, torchinfo, {device}, {dtype})"
    ),
    "claims fail": "측정과 다른 예측",
    "held": "예측 {all:,}개 가운데 {held:,}개가 측정과 일치합니다 ({device}, {dtype}).",
    "twin": "층이 너무 커서, 구조가 같은 작은 층 {twin} 하나로 대신 측정했습니다.",
    "more alike": "… 같은 종류가 {hidden:,}개 더 있음",
    "predicted": "예측",
    "measured": "측정",
    "by": "측정 방법",
    "but predicted": "{measured}\n예측은 {predicted}",
    "by tensor": "층이 내놓은 텐서",
    "by tensors": "층이 내놓은 텐서들",
    "by attributes": "층의 속성",
    "by numbers": "실제 값",
    "by scaled steps": "{counter}, 시점 2개에서 늘려 계산",
    "by scaled layers": "{counter}, 층 2개에서 늘려 계산",
    "by scaled both": "{counter}, 층 2개와 시점 2개에서 늘려 계산",
    "by counter cpu": "CPU에서 flop_registry",
    "by counter meta": "meta에서 FlopCounterMode",
    "claim shape": "{name}: {formula}",
    "claim weights": "가중치 {count}개의 이름과 형상이 torch와 같음",
    "claim layer": "층 {k}: {formula}",
    "claim recurrent": "순환 행렬에 있는 수",
    "claim bytes": "{dtype} 기준 바이트 수",
    "claim total": "매개변수의 총수",
    "claim MACs": "시점의 수가 {formula}일 때의 MACs",
    "claim slices": "슬라이스 {count}개의 축이 표와 같음",
    "no difference": "차이 0",
    "a difference": "차이 있음",
    "other shapes": "형상이 다름",
    "tolerance": "허용 오차 {tolerance}: 더하는 순서가 다름",
    "tolerance, part": "허용 오차 {tolerance}: 더하는 순서가 다름, 처음 {sizes}만",
    "tensors": "텐서",
    "dtype": "자료형",
    "device": "장치",
    # ---- where else to look
    "more": "더 보기: `.slices .notes .laws .counts`",
    "more and proof": "더 보기: `.slices .notes .laws .counts` `.proof`",
    "more on the command line": "더 보기: `lstm-shapes explain Q D K --full`",
    "loading": "검증을 위해 torch를 불러오는 중 …",
    "wrote": "저장함: {file}",
    # ---- packed rows
    "packed drawing": "패킹된 행: 각 시점이 data에 놓이는 위치",
    "packed": "패킹된 내용",
    "part": "부분",
    "value": "값",
    "meaning": "의미",
    "packed data": "번호가 붙은 칸을 그 순서대로 담음, 패딩은 제외",
    "packed batch_sizes": "시점 0, 1, …에 있는 행의 수",
    "packed sorted": "가장 긴 행부터",
    "packed sorted, ties": "가장 긴 행부터, 길이가 같은 행의 순서는 torch에서 다를 수 있음",
    "packed unsorted": "원래 순서로 되돌리는 인덱스",
    "saved": "절약",
    "saved steps": "패딩된 시점 {padded:,}개 가운데 {saved:,}개 ({share})",
    "packed saved": "계산하지 않아도 되는 시점",
    "step": "시점",
    "row": "행 {row} ({steps:,})",
    "row head": "행 (시점의 수)",
    "packed order": "긴 행부터: 행 {rows}, 시점의 수는 차례로 {lengths}.",
    "packed sizes": "batch_sizes: {sizes}.",
    "packed places": "칸의 숫자는 data에서의 위치입니다. 시점 {padded:,}개 대신 {T:,}개만 담습니다. 열을 따라 읽으십시오.",
    # ---- pictures
    "title grid": "시점별로 펼친 그림",
    "title step": "한 시점",
    "title cell": "셀 하나의 내부",
    "title cell of": "층 {layer}의 셀 하나의 내부",
    "title packed": "패킹된 행",
    "the cell": "셀",
    "pad": "패딩",
    "row n": "행 n={n}",
    "row n of": "행 n={n}, 시점 {L:,}개 가운데 {length:,}개",
    "row n and more": "{name}; 행 {more:,}개 더 있음: picture(…, n=…)",
    "also": "여기서 생략된 {what}의 셀도 읽습니다.",
    "also and": "과 ",
    "also layers": "다른 층",
    "also steps": "다른 시점",
    "also rows": "다른 행",
    "and": "{one}, {other}",
    "mark read": "[…] 읽는 셀",
    "mark last h": "( ) 그 상태가 hn에 담기는 셀",
    "mark last h c": "( ) 그 상태가 hn과 cn에 담기는 셀",
    "mark some": "* 일부 행에서만 읽음",
    "mark padding": "[0] 읽게 되는 패딩의 0",
    "key last h": "보라색 테두리: 그 상태가 hn에 담기는 셀.",
    "key last h c": "보라색 테두리: 그 상태가 hn과 cn에 담기는 셀.",
    "key lit": "주황색으로 채움: 읽는 셀.",
    "key some": "주황색 테두리: 일부 행에서만 읽는 셀.",
    "key zero": "주황색 점선: 읽게 되는 패딩.",
    "more layers": "층 {count:,}개 더 있음",
    "wide": "차원 {symbol} = {width:,}",
    "features": "시점마다 특성 Q = {Q:,}개",
    "tip row": "행 n={n}, ",
    "tip read": "{what}: {names} 읽음",
    "tip some": "{what}: 일부 행에서만 {names} 읽음",
    "tip padding": "{what}: 패딩",
    "tip padding read": "{what}: 패딩, 읽힘",
    # ---- what an expression reads, in words
    "reads": "{expression}에서 읽는 것: {items}.",
    "reads nothing": "{expression}에서는 셀도 입력도 초기 상태도 읽지 않습니다.",
    "reads more": "{expression}에서 읽는 것: {items}; 그 밖에 {more}가지.",
    "reads item": "{rows}{layers}{side}{steps}{names}",
    "reads nothing of": "그림에 있는 행 n={n}에서는 아무것도 읽지 않습니다.",
    "reads padding": "행 {rows}에서 자기 길이를 넘는 자리는 0입니다. 그 자리에서는 패딩을 읽습니다.",
    "reads padding, rows": "행 {rows}에서 자기 길이를 넘는 자리는 0입니다. 그 자리에서는 패딩을 읽습니다.",
    "of every layer": "모든 층에서 ",
    "of layer": "층 {layers}에서 ",
    "of layers": "층 {layers}에서 ",
    "forward": "순방향 ",
    "reverse": "역방향 ",
    "both directions": "두 방향 모두 ",
    "both directions, apart": "",
    "after the step": "이 시점을 읽은 뒤의 ",
    "at own last": "행마다 자기 마지막 시점의 ",
    "at every step": "모든 시점의 ",
    "at steps": "t={steps}의 ",
    "at both, own last": "순방향은 행마다 자기 마지막 시점의, 역방향은 t={reverse}의 ",
    "at both": "순방향은 t={forward}의, 역방향은 t={reverse}의 ",
    "only row": "행 n={rows}만, ",
    "only rows": "행 n={rows}만, ",
    "to": "{first}–{last}",
    "backward half": "역방향은 마지막 시점에서 시작합니다. t={t}에서는 전체 {L:,}개 시점 중 {made:,}개를 처리한 상태입니다.",
    "backward half, two": (
        "역방향은 마지막 시점에서 시작합니다. 전체 {L:,}개 시점 중 t={t}에서는 {made:,}개, t={u}에서는 {more:,}개를 처리한 상태입니다."
    ),
    # ---- inside one cell
    "cell weights": (
        "x에는 weight_ih{end} ({rows}, {reads}), 직전의 h에는 weight_hh{end} ({rows}, {H}) 가중치를 곱합니다. "
        "두 가중치의 행은 게이트별로 쌓여 있습니다: {gates}."
    ),
    "cell weights, one gate": (
        "x에는 weight_ih{end} ({rows}, {reads}), 직전의 h에는 weight_hh{end} ({rows}, {H}) 가중치를 곱합니다. "
        "각 가중치는 블록 하나입니다."
    ),
    "cell rows": "{gate} = {rows}",
    "cell step": "{name} = {right}, 특성 {size:,}개",
    "cell projection": "weight_hr{end} ({P}, {D}) 가중치로 h의 차원을 c보다 줄입니다.",
    "cell x": "x, 입력",
    "cell h": "h', 직전의 h",
    "cell c": "c', 직전의 c",
    "cell leaves": "나간 값은 다음 시점에 프라임(')이 붙어 다시 들어옵니다.",
    "cell biases": "bias_ih{end}, bias_hh{end}: 형상은 각각 {shape}, 가중치와 같은 순서로 쌓여 있고 곱에 더합니다.",
    "forget bias": "망각 게이트의 편향은 bias_ih{end}{rows} + bias_hh{end}{rows}입니다.",
    "cell gate": "{gate} = {right}: x_{gate} = W_i{gate}·x, h_{gate} = W_h{gate}·h'입니다.",
    "cell gate, biases": "{gate} = {right}: x_{gate} = W_i{gate}·x, h_{gate} = W_h{gate}·h'이고 편향도 포함합니다.",
    # ---- quiz: the frame
    "quiz": "퀴즈, {level}단계: {about}",
    "level 1": "한 방향, 배치 축이 먼저",
    "level 2": "두 가지 축 순서, GRU와 RNN, 배치 축이 없는 시퀀스",
    "level 3": "두 방향",
    "level 4": "투영, 셀, 패킹된 행",
    "level 5": "모든 내용",
    "how to answer": (
        "답을 비워 두고 Enter를 누르면 그 문제를 넘기고 풀이를 봅니다. `q` 또는 Ctrl-C를 누르면 퀴즈를 끝냅니다."
    ),
    "how to answer in Python": (
        "답은 직접 입력하거나 함수로 줍니다. `ls.quiz(ask=f)`에서 f는 프롬프트를 받아 튜플, 수, 글자 가운데 하나를 "
        "반환하고, 그만하려면 None을 반환합니다."
    ),
    "topic shapes": "형상",
    "topic layout": "축 순서",
    "topic slices": "슬라이스",
    "topic parameters": "매개변수",
    "topic directions": "방향",
    "topic packing": "패킹",
    "topic reshapes": "형상 변환",
    "topic laws": "법칙",
    "question": "{number}/{rounds}: {topic}",
    "form letter": "a부터 {last}까지의 글자 하나",
    "form shape": "7,1 또는 Q,1 같은 형상",
    "form number": "1,234 또는 3*(Q - 20) 같은 정수나 식",
    "needed": "답을 읽을 수 없습니다. 답의 형식: {form}.",
    "needed, in symbols": "답을 읽을 수 없습니다. 답의 형식: {form}. 쓸 수 있는 기호: {symbols}.",
    "right": "✓ 맞았습니다.",
    "not right": "✗ 틀렸습니다. 정답: {answer}",
    "the answer": "정답: {answer}",
    "in torch": "torch로 확인: `{code}`",
    "sheet": "순환 층의 형상, {level}단계: {about}",
    "sheet again": "{legend}. 같은 문제지를 다시 만들 때의 시드: {seed}.",
    "sheet key": "정답과 풀이",
    "answer": "정답",
    "score": "점수, {level}단계: {asked}문제 중 {right}문제 정답",
    "score of nothing": "점수, {level}단계: 답한 문제 없음",
    "score again": "같은 문제를 다시 풀려면: `{code}`.",
    "score stopped": "전체 {rounds}문제 가운데 {asked}문제까지 풀었습니다.",
    "by topic": "주제별 점수",
    "topic": "주제",
    "right ones": "정답",
    "right of asked": "{right}/{asked}",
    "look again": "다시 볼 것",
    # ---- quiz: what is asked
    "asked shape": "`{what}`의 형상은 무엇입니까?",
    "asked first state": "초기 상태를 직접 주어 `layer(X, {states})`처럼 호출합니다. `{what}`의 형상은 무엇이어야 합니까?",
    "asked value": "`X.size({i})` 값은 무엇입니까?",
    "asked batch axis": "`{what}`에서 배치 축은 어느 축입니까?",
    "asked layer's parameters": "층 {k}의 매개변수는 몇 개입니까?",
    "asked layer's parameters, both": "층 {k}의 매개변수는 두 방향을 합하여 몇 개입니까?",
    "asked parameters": "매개변수는 모두 몇 개입니까?",
    "asked in_features": "`nn.Linear(in_features, 10)`의 입력은 `torch.cat([hn[-2], hn[-1]], dim=-1)`입니다. in_features는 얼마입니까?",
    "which end": "다음 중 층 {k}, 방향 {r}의 마지막 은닉 상태는 어느 것입니까? (방향 0은 순방향, 1은 역방향입니다.)",
    "asked rows": "패킹된 배치에서 시점 {t}까지 이어지는 행은 몇 개입니까? (시점은 0부터 셉니다.)",
    "asked what is in": "`{what}`에는 무엇이 들어 있습니까?",
    "asked law": "다음 식이 이 층에서 성립합니까? `{claim}`",
    "which last": "다음 중 각 시퀀스의 마지막 시점을 읽은 뒤 최상위 층의 은닉 상태는 어느 것입니까?",
    "which everything": "다음 중 두 방향 모두 시퀀스 전체를 읽은 것은 어느 것입니까?",
    "which own last": "다음 중 행마다 자기 마지막 시점을 읽은 뒤 최상위 층의 은닉 상태는 어느 것입니까?",
    "which rows": "다음 중 행 n에 시퀀스 n의 상태가 모두 담기는 것은 어느 것입니까?",
    "which turned": "다음 중 X의 형상을 ({turned}, Q)로 바꾸면서 모든 수를 제자리에 두는 것은 어느 것입니까?",
    "which apart": "다음 중 층과 방향을 올바르게 나누는 것은 어느 것입니까?",
    "option states": "은닉 상태; 상태",
    "option not states": "패딩의 0; 0; 패딩",
    "option one sequence": "한 시퀀스의 수만",
    "option not one sequence": "서로 다른 시퀀스의 수가 섞여 있음",
    "option holds": "성립함; 예; 네; yes; y; true; 성립",
    "option not holds": "성립하지 않음; 아니요; 아니오; no; n; false; 불성립",
    # ---- quiz: why
    "rule": "`{name}`의 형상: {axes}.",
    "it is": "의미: {meaning}.",
    "slices keep axes": "정수 인덱스는 그 축을 없애고, 콜론이 있는 슬라이스는 축을 남깁니다.",
    "weight is": "`{name}`의 형상: {axes}. torch에서는 `x @ weight.T`로 계산하므로 축이 (출력, 입력) 순서입니다.",
    "gates are stacked": "첫 축에 게이트가 D행씩 쌓여 있으며 모두 {sizes}행입니다: {rows}.",
    "padding left out": "{sum}. 전체 {padded:,}개 시점 가운데 패딩 {padding:,}개는 계산하지 않습니다.",
    "longer rows": "길이가 {t}보다 긴 행의 수: {rows}.",
    "every batch size": "시점 순서대로 쓴 batch_sizes: {sizes}.",
    "data is": "`packed.data`의 형상: {axes}. 실제 시점을 모두 한 축에 늘어놓습니다.",
    "holds when": "성립하는 경우: {condition}.",
    # ---- quiz: what a wrong answer is
    "other length": "답한 형상의 축은 {given:,}개이지만, 실제 축은 {wanted:,}개입니다.",
    "other order": "크기는 모두 맞지만 순서가 다릅니다.",
    "shape of another": "그것은 `{name}`의 형상입니다.",
    "mistake no_bias": "그것은 편향을 뺀 가중치의 수입니다.",
    "mistake one_bias": "torch에는 편향 벡터가 b_ih와 b_hh 두 개 있는데, 하나만 세었습니다.",
    "mistake one_gate": "그것은 게이트 하나의 매개변수 수입니다. {layer}의 게이트는 {G}개입니다.",
    "mistake one_direction": "그것은 한 방향의 매개변수 수입니다. 방향은 두 개입니다.",
    "mistake layer_0": "그것은 특성 Q개를 읽는 층 0의 매개변수 수입니다.",
    # ---- walk
    "walk": "{model}: forward를 한 줄씩 따라가기",
    "line": "줄",
    "program": "프로그램, 그리고 각 줄에서 만든 텐서",
    "it stops": "예외가 나서 멈춥니다. 그때까지 실행한 줄은 다음과 같습니다.",
    "the program stopped": "프로그램이 멈춘 이유 (오류 메시지는 영어)",
    "mixed axes": "축을 섞은 reshape {mixed:,}개를 ✗로 표시했습니다.",
    "wrong comments": "형상을 틀리게 적은 주석: 전체 {all:,}개 가운데 {wrong:,}개.",
    "all named": "축 이름은 맞는 것이 확실한 곳까지만 표시합니다.",
    "rounds": "{count:,}회 반복",
    "no names": "이름 없음",
    "part of": "{name}={size}의 일부",
    "in the last round": "마지막 반복에서",
    "is packed": "패킹됨",
    "are gathered": "텐서 {count:,}개",
    "in truth": "실제로는 {name} {shape}",
    "in truth, unnamed": "실제로는 {shape}",
    "not followed": "{name}: 스크립트로 변환되어 안을 볼 수 없음",
    "a module": "모듈",
    "read as": "이 층은 X의 축 {at}, 곧 {name} 축을 {symbol} 축으로 읽음",
    "read as, since": "이 층은 {line}번 줄부터 {one}인 축을 {other} 축으로 읽음",
    "read as, given": "이 층은 처음부터 {one}인 축을 {other} 축으로 읽음",
    "computed together": "{function}: {one} 축과 {other} 축을 함께 계산함",
    "no rule": "축 이름은 여기까지: {function}에 대한 규칙이 없음",
    "no true name": "{function}: 맞는 이름이 없는 축이 생김",
    "scramble": "{before} 텐서를 {sizes} 형상으로 바꾸는 reshape에서 {names}의 원소가 섞입니다. {hint}.",
    "scramble meant": "의도한 식은 아마도 {code}: 결과는 {axes}",
    "keep whole axes": "축을 통째로 유지하십시오. 먼저 permute를 하고, 이웃한 축끼리 합치십시오",
    "axes nobody named": '이름이 정해지지 않은 입력 축이 있습니다. `walk(model, x, axes="N L Q")`처럼 이름을 줄 수 있습니다.',
    "no source": "이 모델의 소스 코드를 읽을 수 없어 함수 호출을 대신 보여 줍니다.",
    "compiled": "torch.compile로 컴파일한 모델이므로 컴파일하기 전의 모듈을 따라갑니다.",
    "scripted": "torch.jit로 변환한 모델이므로 파이썬에서 실행되는 줄이 없어 들어가고 나오는 것만 보여 줍니다.",
    # ---- gates
    "gates of": "{layer}: 게이트",
    "gates over time": "시점별 게이트",
    "where": "위치",
    "least": "최솟값",
    "mean": "평균",
    "greatest": "최댓값",
    "layer forward": "층 {k} 순방향",
    "layer reverse": "층 {k} 역방향",
    "more cells": "… 그 밖에 {more}개: `trace[layer, direction]`.",
    "gates agree": (
        "다시 계산한 값과 층이 내놓은 값의 차이는 최대 {residual}입니다. {device}의 {dtype} 계산에서 허용하는 차이는 "
        "{tolerance}입니다."
    ),
    "gates hold": "메모리 사용량: {size} = {formula}바이트.",
    "gates readings": (
        "한 시점의 계산은 `trace.step(layer=0, t=0)`, 상태의 되먹임은 `trace.feedback`, 게이트 하나를 시점별로 그린 그림은 "
        "`trace.heatmap('{gate}')`에서 볼 수 있습니다."
    ),
    "left out dropout": (
        "층 사이의 드롭아웃은 무작위이므로 적용하지 않았습니다(dropout={dropout}). 여기 있는 값은 eval() 상태의 값입니다."
    ),
    "left out hooks": "훅 {hooks:,}개를 적용하지 않고 층만 계산했습니다.",
    "step of": "{where}의 시점 t={t}",
    "step of row": "{where}의 시점 t={t}, 행 n={n}",
    "what enters": "들어오는 값",
    "shape": "형상",
    "numbers": "값",
    "from before": "프라임(')은 이 시점 직전의 상태를 뜻하며, 그 값은 {before}에서 옵니다.",
    "the step": "유닛 d={d}의 값을 넣은 계산",
    "equation and shapes": "식과 형상",
    "signs": "⊙: 원소별 곱셈, σ(a) = 1/(1 + exp(−a)). 가중치 이름의 둘째 글자는 게이트를 가리킵니다.",
    "where weights lie": "가중치의 위치",
    "gate": "게이트",
    "rows": "행",
    "in numbers": "행 번호",
    "unit is row": "유닛 d={d}의 행",
    "stacked": "{weights} 및 편향의 행: 게이트가 이 순서로 쌓여 있습니다.",
    "stacked, no biases": "{weights}의 행: 게이트가 이 순서로 쌓여 있습니다.",
    "feedback of": "{layer}: 되먹임",
    "primes": "h'과 c'은 직전 시점의 상태입니다.",
    "handed on": "한 시점에서 다음 시점으로 전해지는 것",
    "state": "상태",
    "enters": "들어가는 식",
    "share": "비율",
    "share is": (
        "비율: 합 가운데 직전 상태에서 온 항이 차지하는 비율이며, 모든 시점의 절댓값 평균으로 계산합니다. "
        "한 층의 h는 같은 시점에서 위층의 x이기도 합니다."
    ),
    "map of gate": "{where}의 게이트 {name}",
    "map of state": "{where}의 상태 {name}",
    "map": "세로는 유닛, 가로는 시점",
    "map of": "유닛 {units:,}개, 시점 {steps:,}개.",
    "map of row": "유닛 {units:,}개, 행 n={n}의 시점 {steps:,}개.",
    # ---- the layers of a file
    "prefix": "접두사",
    "no prefix": "(없음)",
    "a layer": "층",
    "recurrent layers": "순환 층",
    "untold": "체크포인트만 보고는 {names}, {last}(tanh 또는 relu) 설정을 알 수 없으므로 코드를 보아야 합니다.",
    "no layer in it": "순환 층이 없습니다. weight_ih_l0이나 weight_hh_l0 같은 이름이 없기 때문입니다.",
    "fit no layer": "어느 층에도 맞지 않는 가중치 (오류 메시지는 영어)",
    "tensors in it": "{format}, 텐서 {tensors:,}개",
    "loading model": "torch와 모델을 불러오는 중 …",
    "walking": "모델을 한 줄씩 따라가는 중 …",
    # ---- explorer
    "explorer": "들어가는 것과 나오는 것",
    "region sizes": "층과 호출",
    "region tabs": "보여 줄 내용",
    "region picture": "그림",
    "region step": "시점",
    "region result": "결과",
    "tab steps": "셀 하나를 시점별로",
    "told shapes": "층에 들어가는 것과 나오는 것, 그리고 매개변수를 크기만 보고 예측합니다.",
    "told steps": "실제 층에 시퀀스 하나를 넣습니다. 가중치와 입력은 무작위이지만 매번 같습니다.",
    "control cell": "셀의 종류",
    "control bidirectional": "양방향",
    "control unbatched": "배치 축 없이 시퀀스 하나",
    "control lengths": "lengths (N, L 대신)",
    "control picture": "그림",
    "control highlight": "강조할 식",
    "control t": "t: 시점",
    "control d": "d: 유닛(D개 중)",
    "control layer": "층(K개 중)",
    "control direction": "방향",
    "kind grid": "시점별로 펼친 그림",
    "kind cell": "셀 하나의 내부",
    "kind packed": "패킹된 행",
    "way 0": "순방향",
    "way 1": "역방향",
    "does not have": "{cell}에는 없는 항목: {names}.",
    "shown without": "다음 값을 빼고 보여 줍니다: {names}. 오류 메시지(영어):",
    "no such layer": "만들 수 없는 층입니다. 오류 메시지(영어):",
    "cannot be drawn": "그릴 수 없는 식이어서 직전의 그림을 남겨 둡니다. 오류 메시지(영어):",
    "nothing packed": "행의 길이가 서로 다를 때 패킹합니다. 배치가 있는 층에 5, 3, 2처럼 lengths를 적으십시오.",
    "what can be written": "쓸 수 있는 식(영어)",
    "too large for steps": (
        "슬라이더를 움직이며 시점별로 보기에는 층이 너무 큽니다. 매개변수 {total:,}개에 시점 {L:,}개를 곱하면 "
        "{products:,}인데, 한계는 {most:,}입니다. D, K, L 가운데 하나를 줄이십시오."
    ),
    "loading torch": "torch를 불러오는 중",
    "strip": "{where}, 유닛 d={d}의 게이트와 상태",
    "strip at": "{title}, t={t}: {values}.",
    "ends it": "{url}  (끝내려면 Ctrl-C)",
}
"""Key -> the sentence in Korean."""
