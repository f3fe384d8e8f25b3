"""Questions about shapes, made from random layers and answered by the library itself. Pure Python, no torch.

arithmetic  reads `4*(Q*D + D*D + 2D)` without evaluating it
answers     what an answer may be, and how it is graded
question    text, answer, derivation, and the line of torch that shows it
draw        a random layer and call, harder from level to level
topics/     the questions, one file a topic
deck        which question comes next
score       what was answered
"""
