"""What Ocelli does: each class is one job, told in the words of the domain."""
