package dev.weir.engine.tokenizer;

import com.google.gson.GsonBuilder;
import dev.weir.engine.tokenizer.SentencePieceModel.Piece;
import dev.weir.engine.tokenizer.SentencePieceModel.PieceType;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Writes {@code tokenizer.json} files of the two kinds that Llama-family models come with. */
final class TokenizerJsonWriter {
  private TokenizerJsonWriter() {}

  /**
   * The equivalent of a SentencePiece BPE model, as Llama 2 has it. SentencePiece merges whatever
   * gives the piece with the best score; here every way to put a piece together becomes a merge,
   * ranked by that score.
   */
  static String llama2(SentencePieceModel model) {
    Map<String, Integer> vocabulary = new LinkedHashMap<>();
    List<Map<String, Object>> addedTokens = new ArrayList<>();
    for (int id = 0; id < model.pieces().size(); id++) {
      Piece piece = model.pieces().get(id);
      String text = text(piece, id);
      vocabulary.put(text, id);
      if (piece.type() == PieceType.CONTROL || piece.type() == PieceType.UNKNOWN) {
        addedTokens.add(addedToken(id, text));
      }
    }
    return json(
        vocabulary,
        merges(model, vocabulary),
        true,
        addedTokens,
        Map.of(
            "type",
            "Sequence",
            "normalizers",
            List.of(
                Map.of("type", "Prepend", "prepend", "▁"),
                Map.of("type", "Replace", "pattern", Map.of("String", " "), "content", "▁"))),
        null,
        Map.of(
            "type",
            "Sequence",
            "decoders",
            List.of(
                Map.of("type", "Replace", "pattern", Map.of("String", "▁"), "content", " "),
                Map.of("type", "ByteFallback"),
                Map.of("type", "Fuse"),
                Map.of("type", "Strip", "content", " ", "start", 1, "stop", 0))));
  }

  /** A byte-level BPE as Llama 3 has it, of the 256 bytes and the given merges. */
  static String byteLevel(List<String> merges) {
    Map<String, Integer> vocabulary = new LinkedHashMap<>();
    vocabulary.put("<|begin_of_text|>", 0);
    for (char c = 0; vocabulary.size() < 257; c++) {
      if (ByteLevel.bytes(String.valueOf(c)).length == 1) {
        vocabulary.put(String.valueOf(c), vocabulary.size());
      }
    }
    for (String merge : merges) {
      vocabulary.put(merge.replace(" ", ""), vocabulary.size());
    }
    return json(
        vocabulary,
        merges,
        false,
        List.of(addedToken(0, "<|begin_of_text|>")),
        null,
        Map.of(
            "type",
            "ByteLevel",
            "add_prefix_space",
            false,
            "trim_offsets",
            true,
            "use_regex",
            true),
        Map.of(
            "type",
            "ByteLevel",
            "add_prefix_space",
            true,
            "trim_offsets",
            true,
            "use_regex",
            true));
  }

  private static String json(
      Map<String, Integer> vocabulary,
      List<String> merges,
      boolean byteFallback,
      List<Map<String, Object>> addedTokens,
      Object normalizer,
      Object preTokenizer,
      Object decoder) {
    Map<String, Object> model = new LinkedHashMap<>();
    model.put("type", "BPE");
    model.put("byte_fallback", byteFallback);
    if (byteFallback) {
      model.put("unk_token", "<unk>");
      model.put("fuse_unk", true);
    }
    model.put("vocab", vocabulary);
    model.put("merges", merges);

    Map<String, Object> bos = addedTokens.get(byteFallback ? 1 : 0);
    Map<String, Object> bosPart =
        Map.of("SpecialToken", Map.of("id", bos.get("content"), "type_id", 0));
    Map<String, Object> textPart = Map.of("Sequence", Map.of("id", "A", "type_id", 0));
    Map<String, Object> postProcessor =
        Map.of(
            "type",
            "TemplateProcessing",
            "single",
            List.of(bosPart, textPart),
            "pair",
            List.of(bosPart, textPart, Map.of("Sequence", Map.of("id", "B", "type_id", 1))),
            "special_tokens",
            Map.of(
                bos.get("content"),
                Map.of(
                    "id",
                    bos.get("content"),
                    "ids",
                    List.of(bos.get("id")),
                    "tokens",
                    List.of(bos.get("content")))));

    Map<String, Object> root = new LinkedHashMap<>();
    root.put("version", "1.0");
    root.put("added_tokens", addedTokens);
    if (normalizer != null) {
      root.put("normalizer", normalizer);
    }
    if (preTokenizer != null) {
      root.put("pre_tokenizer", preTokenizer);
    }
    root.put("post_processor", postProcessor);
    root.put("decoder", decoder);
    root.put("model", model);
    return new GsonBuilder().disableHtmlEscaping().create().toJson(root);
  }

  private static String text(Piece piece, int id) {
    return switch (piece.type()) {
      case UNKNOWN -> "<unk>";
      case CONTROL -> id == 1 ? "<s>" : "</s>";
      case NORMAL, USER_DEFINED, UNUSED, BYTE -> piece.text();
    };
  }

  private static Map<String, Object> addedToken(int id, String content) {
    Map<String, Object> token = new LinkedHashMap<>();
    token.put("id", id);
    token.put("content", content);
    for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
      token.put(flag, false);
    }
    token.put("special", true);
    return token;
  }

  private static List<String> merges(SentencePieceModel model, Map<String, Integer> vocabulary) {
    record Merge(String left, String right, float score) {}
    Map<String, Float> scores = new HashMap<>();
    for (Piece piece : model.pieces()) {
      if (piece.type() == PieceType.NORMAL) {
        scores.put(piece.text(), piece.score());
      }
    }
    List<Merge> merges = new ArrayList<>();
    scores.forEach(
        (text, score) -> {
          for (int cut = 1; cut < text.length(); cut++) {
            String left = text.substring(0, cut);
            String right = text.substring(cut);
            if (scores.containsKey(left) && scores.containsKey(right)) {
              merges.add(new Merge(left, right, score));
            }
          }
        });
    merges.sort(
        Comparator.comparingDouble((Merge merge) -> -merge.score())
            .thenComparingInt(merge -> vocabulary.get(merge.left()))
            .thenComparingInt(merge -> vocabulary.get(merge.right())));
    return merges.stream().map(merge -> merge.left() + " " + merge.right()).toList();
  }
}
