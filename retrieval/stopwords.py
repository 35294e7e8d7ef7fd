"""Chinese words that say little about what a passage is about."""

from __future__ import annotations

_QUESTION = """
什么 甚么 为什么 为何 谁 谁的 哪 哪个 哪些 哪里 哪儿 哪位 哪种 哪年 哪一 哪一个 哪一年 哪一位 哪几 何 何时 何地
何处 何人 何种 何者 何谓 几 几个 几年 几次 多少 多大 多久 多长 多高 多远 如何 怎么 怎样 怎么样 怎么办 怎 吗 呢
是否 有没有 是不是 能否 可否 请问 请 问 告诉 介绍 一下 啥 么 属于 下列 以下 哪方面 多少年 多少个 几岁 几月 几号
"""
QUESTION_WORDS = frozenset(_QUESTION.split())
"""Words that ask; they name nothing in the passage that answers."""

_FUNCTION = """
的 地 得 了 着 过 是 为 在 于 和 与 及 或 以 而 且 但 也 都 就 才 又 被 把 将 由 从 向 对 对于 关于 到 至 自 有
没有 无 不 之 其 该 此 这 那 这个 那个 这些 那些 它 他 她 它们 他们 她们 我 我们 你 您 你们 所 上 中 下 里 内
后 前 时 等 个 位 年 月 日 种 名 一个 一种 一些 因为 所以 如果 可以 能够 能 会 要 应该 需要 进行 以及 并 并且
还 还是 被称为 称为 叫 叫做 作 做 作为 成为 可 让 使 使得 给 比 跟 同 用 当 则 第 每 各 只 最 更 很 非常 之后
之前 以后 以前 当时 时候 期间
"""
FUNCTION_WORDS = frozenset(_FUNCTION.split())
"""Words too common to tell passages apart; their cross-word bigrams are damped in queries."""
