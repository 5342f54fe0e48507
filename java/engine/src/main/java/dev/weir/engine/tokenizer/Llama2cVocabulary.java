package dev.weir.engine.tokenizer;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.weir.engine.tokenizer.SentencePieceModel.Algorithm;
import dev.weir.engine.tokenizer.SentencePieceModel.Piece;
import dev.weir.engine.tokenizer.SentencePieceModel.PieceType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads the {@code tokenizer.bin} of llama2.c: a little-endian int32 (the longest piece, in bytes),
 * then for each id a float32 score, an int32 length and the bytes of the piece, to the end of the
 * file. It is an export of a SentencePiece BPE model with byte fallback, where id 0 is the unknown
 * piece, 1 and 2 begin and end a sequence and spaces are written as spaces.
 */
final class Llama2cVocabulary {
  private static final int UNKNOWN = 0;
  private static final int BOS = 1;
  private static final int EOS = 2;

  private Llama2cVocabulary() {}

  static SentencePieceModel parse(Path file, byte[] content) {
    try {
      return new SentencePieceModel(
          pieces(ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN)),
          Algorithm.BPE,
          true,
          BOS,
          true,
          false,
          false);
    } catch (TokenizerException e) {
      throw new TokenizerException(file + " is not a llama2.c tokenizer: " + e.getMessage(), e);
    }
  }

  private static List<Piece> pieces(ByteBuffer in) {
    if (in.remaining() < Integer.BYTES) {
      throw new TokenizerException("it has " + in.remaining() + " bytes, too few for its header");
    }
    int longest = in.getInt();
    if (longest < 1 || longest > SentencePieceModel.MAX_PIECE_BYTES) {
      throw new TokenizerException(
          "max_token_length is "
              + longest
              + ", must be in 1.."
              + SentencePieceModel.MAX_PIECE_BYTES);
    }
    List<Piece> pieces = new ArrayList<>();
    while (in.hasRemaining()) {
      int id = pieces.size();
      if (in.remaining() < Float.BYTES + Integer.BYTES) {
        throw new TokenizerException("it ends in the middle of token " + id);
      }
      float score = in.getFloat();
      int length = in.getInt();
      if (length < 1 || length > SentencePieceModel.MAX_PIECE_BYTES || length > in.remaining()) {
        throw new TokenizerException(
            "the length of token %d is %d, must be in 1..%d (%d bytes are left in the file)"
                .formatted(id, length, SentencePieceModel.MAX_PIECE_BYTES, in.remaining()));
      }
      ByteBuffer bytes = in.slice(in.position(), length);
      in.position(in.position() + length);
      pieces.add(piece(id, score, bytes));
    }
    if (pieces.size() <= EOS) {
      throw new TokenizerException("it has " + pieces.size() + " tokens, too few");
    }
    return pieces;
  }

  private static Piece piece(int id, float score, ByteBuffer bytes) {
    String text;
    try {
      text = UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new TokenizerException("token " + id + " is not UTF-8", e);
    }
    PieceType type;
    if (id == UNKNOWN) {
      type = PieceType.UNKNOWN;
    } else if (id == BOS || id == EOS) {
      type = PieceType.CONTROL;
    } else if (SentencePieceModel.byteValue(text) >= 0) {
      type = PieceType.BYTE;
    } else {
      type = PieceType.NORMAL;
    }
    return new Piece(text.replace(' ', SentencePieceModel.SPACE), score, type);
  }
}
