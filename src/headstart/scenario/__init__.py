"""Which of the four scenarios of transfer learning a data set is in: measured, placed, explained."""
