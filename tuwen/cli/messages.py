"""What the command line says to people, in Chinese and English; the JSON never changes with the language.

Labels of its own are said by key (:func:`say`). Sentences that arise elsewhere, in English, are translated as they
are shown (:func:`translated`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

_MESSAGES: Mapping[str, tuple[str, str]] = {
    # key: (English, Chinese)
    "all_well": ("Everything fits together.", "一切正常。"),
    "and": ("; ", "；"),
    "answer": ("Answer", "回答"),
    "boxes_hint": ("See it on the page: {command}", "在原页上查看：{command}"),
    "conflict": ("The sources contradict each other; both are given.", "资料之间互相矛盾，均已列出。"),
    "count": ("Number", "数量"),
    "deleted": ("Deleted: {count}. What left each store:", "已删除 {count} 份文档。各处移除的数量："),
    "document": ("Document", "文档"),
    "documents": ("Documents", "文档"),
    "duplicate": ("the same as {id}", "与 {id} 内容相同"),
    "error": ("Error: {message}", "错误：{message}"),
    "examined": ("Examined {documents} documents, {pages} pages.", "已检查 {documents} 份文档，{pages} 页。"),
    "fixed": ("mended", "已修复"),
    "found_nothing": ("Nothing found.", "没有找到相关内容。"),
    "home": ("Data directory", "数据目录"),
    "id": ("Id", "编号"),
    "interrupted": (
        "Stopped. Run the same command again and it goes on where it was.",
        "已中断。再次运行同一命令，会从中断处继续。",
    ),
    "index_held": ("Index held by", "索引占用者"),
    "index_free": ("nobody", "无"),
    "in_work": ("In work", "正在处理"),
    "in_work_pages": (
        "({pages} pages: {read} read, {encode} encoded, {index} indexed)",
        "（共 {pages} 页：已识别 {read}，已编码 {encode}，已入库 {index}）",
    ),
    "kind": ("Kind", "类型"),
    "kind_text": ("text", "正文"),
    "kind_table": ("table", "表格"),
    "kind_figure": ("figure", "插图"),
    "kind_image": ("picture", "整页图像"),
    "list_mark": (", ", "、"),
    "match": ("Match", "匹配内容"),
    "model": ("Model", "模型"),
    "model_batch": ("At once", "并行"),
    "model_context": ("Context", "上下文"),
    "model_device": ("Device", "设备"),
    "model_first": ("First word", "首字"),
    "model_free": ("Memory left", "剩余内存"),
    "model_load": ("Load", "加载"),
    "model_none": ("The preset “{preset}” uses no vision-language model.", "预设“{preset}”不使用视觉语言模型。"),
    "model_size": ("Weights", "权重"),
    "model_speed": ("Speed", "速度"),
    "model_speed_value": ("{speed:.1f} tokens/s", "{speed:.1f} 词元/秒"),
    "model_tasks": ("Tasks", "用途"),
    "model_tokens": ("{count} tokens", "{count} 词元"),
    "name": ("Name", "名称"),
    "no_documents": ("No documents yet. Try: tuwen ingest FOLDER", "还没有文档。试试：tuwen ingest 文件夹"),
    "not_fixed": ("to be mended", "待修复"),
    "not_well": (
        "`tuwen doctor --fix` mends what can be mended.",
        "用 `tuwen doctor --fix` 可修复其中能够修复的问题。",
    ),
    "nothing": ("nothing", "无"),
    "nothing_to_retry": ("There is nothing to try again.", "没有需要重试的文档。"),
    "now_well": ("All of it is mended.", "已全部修复。"),
    "notes": ("Notes", "备注"),
    "on_page": ("page {page}", "第 {page} 页"),
    "page": ("Page", "页"),
    "pages": ("Pages", "页数"),
    "pages_indexed": ("Pages in the index", "索引中的页数"),
    "preset": ("Preset", "预设"),
    "refused": ("No answer", "不作回答"),
    "refused_no_evidence": (
        "Nothing in the documents answers this question.",
        "资料中没有找到能回答这个问题的内容。",
    ),
    "refused_unreadable_source": (
        "The pages that fit best cannot be read reliably, so there is no answer.",
        "最相关的页面无法可靠识别，因此不作回答。",
    ),
    "score": ("Score", "得分"),
    "skipped": ("Skipped {path}: {reason}", "已跳过 {path}：{reason}"),
    "stage_convert": ("converting", "转换"),
    "stage_inspect": ("opening", "打开"),
    "stage_read": ("reading", "识别"),
    "stage_transcribe": ("transcribing", "模型转写"),
    "stage_align": ("aligning", "对齐"),
    "stage_passages": ("cutting", "切分"),
    "stage_encode": ("encoding", "编码"),
    "stage_index": ("indexing", "建索引"),
    "status": ("Status", "状态"),
    "status_count": ("{count} {status}", "{count} 份{status}"),
    "status_queued": ("queued", "排队中"),
    "status_processing": ("processing", "处理中"),
    "status_ready": ("ready", "就绪"),
    "status_ready_with_warnings": ("ready with warnings", "就绪（有警告）"),
    "status_failed": ("failed", "失败"),
    "status_cancelled": ("cancelled", "已取消"),
    "status_duplicate": ("duplicate", "重复"),
    "store": ("Store", "位置"),
    "store_artefacts": ("artefacts", "中间结果"),
    "store_blobs": ("files", "原件"),
    "store_catalog": ("catalog rows", "目录记录"),
    "store_index": ("index points", "索引点"),
    "suspect": ("The reading of this page is suspect: {reasons}", "本页的识别结果可能有误：{reasons}"),
    "total": (
        "{documents} documents, {pages} pages, {seconds:.1f} s",
        "{documents} 份文档，{pages} 页，用时 {seconds:.1f} 秒",
    ),
    "try_help": ("Try '{command} --help' for help.", "用 '{command} --help' 查看用法。"),
    "usage": ("Usage: ", "用法："),
    "verdict_blank": ("the page is blank", "空白页"),
    "verdict_garbled_text_layer": ("garbled text layer, read by OCR instead", "文字层乱码，已改用 OCR 识别"),
    "verdict_hidden_text": ("hidden text left out", "含有不可见文字，已略去"),
    "verdict_invented_text": ("invented text left out", "模型写了本页上没有的文字，已略去"),
    "verdict_low_ocr_confidence": ("OCR is unsure", "OCR 识别把握不大"),
    "verdict_reader_disagreement": ("two readers disagree", "两种识别方法的结果不一致"),
    "verdict_repetition": ("the model repeated itself", "模型反复输出相同内容"),
    "verdict_unreadable": ("nothing could be read", "无法识别"),
    "version": ("Version", "版本"),
    "verified": ("checked on the page", "已在原页核对"),
    "warning": ("{message} (p. {pages})", "{message}（第{pages}页）"),
    "wrote": ("Wrote {path}", "已写入 {path}"),
}  # fmt: skip


@cache
def language() -> str:
    """``zh`` or ``en``: ``TUWEN_LANG``, else the locale of the environment."""
    chosen = next((v for n in ("TUWEN_LANG", "LC_ALL", "LC_MESSAGES", "LANG") if (v := os.environ.get(n))), "")
    return "zh" if chosen.lower().startswith("zh") else "en"


def say(key: str, **values: object) -> str:
    """The message ``key`` in the user's language."""
    text = _MESSAGES[key][language() == "zh"]
    return text.format(**values) if values else text


def translated(sentence: str) -> str:
    """A sentence that arose in English, in the user's language."""
    if language() == "en":
        return sentence
    from tuwen.cli.chinese import chinese

    return chinese(sentence)
